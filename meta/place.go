package meta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/durable"
	"github.com/arionkv/arion/internal/rpc"
	metaraft "github.com/arionkv/arion/meta/raft"
)

// place is this server's place in the metas' group. It is decided once: by the order of meta.servers where the group is
// formed, by the group where a server is added to it. After that the directory knows, and the order of the list matters
// no more.
type place struct {
	Format    int    `json:"format"`
	ReplicaID uint64 `json:"replica_id"`
	Joined    bool   `json:"joined"` // raft must be told the same at every start
	// Started: raft has run here. It must not begin with an empty log after that.
	Started bool `json:"started,omitempty"`
	// Raft is the raft directory, empty = the usual one. See Recover.
	Raft string `json:"raft,omitempty"`
}

const (
	placeFile = "meta.json"
	// placeFormat is raised by what an older build must not overlook:
	//
	//	2: raft
	placeFormat = 2
	usualRaft   = "raft"
	// placeTries and placePause bound the search for the group that a server is to join.
	placeTries = 10
	placePause = time.Second
)

func readPlace(dir string) (place, error) {
	raw, err := os.ReadFile(filepath.Join(dir, placeFile))
	if err != nil {
		return place{}, err
	}
	var p place
	path := filepath.Join(dir, placeFile)
	switch err := json.Unmarshal(raw, &p); {
	case err != nil:
		return place{}, fmt.Errorf("%s is damaged (%w): restore it, or take this meta server out and add it again", path, err)
	case p.Format > placeFormat:
		return place{}, fmt.Errorf("%s has format %d, this build knows up to %d: start it with the newer release", path, p.Format, placeFormat)
	case p.Format < 1 || p.ReplicaID == 0 || p.Raft != filepath.Base(p.Raft) && p.Raft != "":
		return place{}, fmt.Errorf("%s makes no sense: %s", path, raw)
	}
	return p, nil
}

// RaftDir is the raft directory of a meta server's directory, or of any other node's.
func RaftDir(dir string) (string, error) {
	p, err := readPlace(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return p.raftDir(dir), nil
}

func (p place) raftDir(dir string) string {
	if p.Raft == "" {
		return filepath.Join(dir, usualRaft)
	}
	return filepath.Join(dir, p.Raft)
}

func (p place) write(dir string) error {
	p.Format = 1
	if p.Raft != "" {
		p.Format = 2
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return durable.ReplaceFile(filepath.Join(dir, placeFile), append(raw, '\n'))
}

// findPlace tells this server's place, and records it before raft starts in it.
func (s *Server) findPlace(ctx context.Context) (place, error) {
	p, err := readPlace(s.cfg.Node.Dir)
	if err == nil {
		err = s.checkPlace(ctx, p)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	at := slices.Index(s.cfg.Meta.Servers, s.cfg.RPCAddress())
	p = place{ReplicaID: uint64(at) + 1}
	if s.cfg.Meta.Join && !s.raft.HasReplica(metaraft.ShardID, p.ReplicaID) {
		if p, err = s.joinPlace(ctx); err != nil {
			return place{}, err
		}
	} else if err := s.checkMemory(p.ReplicaID); err != nil {
		return place{}, err
	}
	return p, p.write(s.cfg.Node.Dir)
}

// checkPlace refuses a place that this server had and must not take again.
func (s *Server) checkPlace(ctx context.Context, p place) error {
	if p.Started && !s.raft.HasReplica(metaraft.ShardID, p.ReplicaID) {
		return fmt.Errorf("meta server %s lost its raft log in %s, it must not vote without it: restore the directory, "+
			"or take the server out (meta.remove), delete %s and add it again", s.self.RPCAddress, p.raftDir(s.cfg.Node.Dir), s.cfg.Node.Dir)
	}
	if by := s.removedSays(ctx, p.ReplicaID, s.cfg.Meta.Servers); by != "" {
		return s.removedError(p.ReplicaID, by)
	}
	return nil
}

func (s *Server) removedError(replicaID uint64, by string) error {
	return fmt.Errorf("this meta server, replica %d, was taken out of the group, says %s: stop it and delete %s; "+
		"to have one here again, run `meta.add %s` and start it with meta.join = true", replicaID, by, s.cfg.Node.Dir, s.self.RPCAddress)
}

// removedSays asks meta servers whether a place was given up; the answer is the one that says so. A server that is removed
// while it is down hears nothing of it from raft. Whoever is asked may be behind, and then knows nothing; none of them can
// know it too early.
func (s *Server) removedSays(ctx context.Context, replicaID uint64, addrs []string) string {
	says := askMetas(ctx, addrs, s.self.RPCAddress, func(ctx context.Context, pool *rpc.Pool, addr string) bool {
		return saysRemoved(ctx, pool, addr, replicaID)
	})
	if at := slices.Index(says, true); at >= 0 {
		return addrs[at]
	}
	return ""
}

func saysRemoved(ctx context.Context, pool *rpc.Pool, addr string, replicaID uint64) bool {
	r := arion.NewMetaListResponse()
	if err := pool.Call(ctx, addr, "RPC_ARION_META_LIST", arion.NewMetaListRequest(), r); err != nil {
		return false
	}
	return slices.ContainsFunc(r.Metas, func(m *arion.MetaPlace) bool { return m.ReplicaID == int64(replicaID) && m.Removed })
}

// joinPlace asks the running metas for the place that was made for this server.
func (s *Server) joinPlace(ctx context.Context) (place, error) {
	pool := rpc.NewPool(rpc.PoolOptions{})
	defer pool.Close()
	for range placeTries {
		for _, addr := range s.cfg.Meta.Servers {
			if addr == s.self.RPCAddress {
				continue
			}
			if id := placeMadeFor(ctx, pool, addr, s.self.RPCAddress); id != 0 {
				return place{ReplicaID: id, Joined: true}, nil
			}
		}
		select {
		case <-ctx.Done():
			return place{}, ctx.Err()
		case <-time.After(placePause):
		}
	}
	return place{}, fmt.Errorf("none of the meta servers %v has a place for this one: run `meta.add %s` first", s.cfg.Meta.Servers, s.self.RPCAddress)
}

// placeMadeFor asks one meta server which place waits for a server at an address; 0: none, or no answer.
func placeMadeFor(ctx context.Context, pool *rpc.Pool, addr, self string) uint64 {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r := arion.NewMetaListResponse()
	if err := pool.Call(ctx, addr, "RPC_ARION_META_LIST", arion.NewMetaListRequest(), r); err != nil {
		return 0
	}
	for _, m := range r.Metas {
		if m.RPCAddress == self && m.Joining {
			return uint64(m.ReplicaID)
		}
	}
	return 0
}

// raftAddressOf derives where a meta server listens for raft.
func raftAddressOf(rpcAddress string) (string, error) {
	addr, err := config.RaftAddressOf(rpcAddress)
	if err != nil {
		return "", fmt.Errorf("meta server %q: %w", rpcAddress, err)
	}
	return addr, nil
}
