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
}

const (
	placeFile   = "meta.json"
	placeFormat = 1
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
	if err := json.Unmarshal(raw, &p); err != nil || p.Format != placeFormat || p.ReplicaID == 0 {
		return place{}, fmt.Errorf("%s in %s is damaged or of a newer format: %s", placeFile, dir, raw)
	}
	return p, nil
}

func (p place) write(dir string) error {
	p.Format = placeFormat
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return durable.ReplaceFile(filepath.Join(dir, placeFile), append(raw, '\n'))
}

// findPlace tells this server's place, and records it before raft starts in it.
func (s *Server) findPlace(ctx context.Context) (place, error) {
	p, err := readPlace(s.cfg.Node.Dir)
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
