package meta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/identity"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/meta/catalog"
	metaraft "github.com/arionkv/arion/meta/raft"
)

// Survivor is the catalog that a meta server would go on with alone.
type Survivor struct {
	ReplicaID uint64
	State     *catalog.State // as far as this server knows it to be committed
	Metas     []string       // addresses of the members that would be dropped, "" = not recorded
}

const (
	// quietFor is how long the applied index must stand still before the local log is taken to be replayed.
	quietFor = time.Second
	// electionsToWait: a group that has a majority would elect a leader within these many election timeouts.
	electionsToWait = 6
)

// Recover forms the metas' group anew from this stopped server alone, when the majority of its members is lost for good. The
// catalog stays, as far as this server had applied it. Without confirm it only tells what would be done.
//
// The new group has a log of its own, in a directory beside the old one, and begins with the catalog in one command; the
// survivor has a new replica id in it. Naming that directory in meta.json is the step that counts: a crash before it leaves
// everything as it was. Former members that return hear from the survivor that they were removed.
func Recover(ctx context.Context, cfg *config.Config, deps Deps, confirm bool) (Survivor, error) {
	p, err := readPlace(cfg.Node.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Survivor{}, fmt.Errorf("%s holds no %s: no meta server has run here", cfg.Node.Dir, placeFile)
	}
	if err != nil {
		return Survivor{}, err
	}
	id, err := identity.Open(cfg.Node.Dir, identity.RoleMeta, cfg.Node.Cluster)
	if err != nil {
		return Survivor{}, err
	}
	s := Survivor{ReplicaID: p.ReplicaID}
	if s.State, err = lastWill(ctx, cfg, deps, p); err != nil {
		return s, err
	}
	addrs := slices.Clone(cfg.Meta.Servers)
	for _, m := range s.State.LiveMetas() {
		if m.Address != "" && !slices.Contains(addrs, m.Address) {
			addrs = append(addrs, m.Address)
		}
	}
	s.Metas = slices.DeleteFunc(addrs, func(a string) bool { return a == cfg.RPCAddress() })
	if err := noneAnswers(ctx, s.Metas); err != nil || !confirm {
		return s, err
	}
	return s, reform(ctx, cfg, deps, p, id, s)
}

// lastWill opens the server's replica of the old group and reads the catalog when the log is replayed.
func lastWill(ctx context.Context, cfg *config.Config, deps Deps, p place) (_ *catalog.State, err error) {
	host, err := openRaft(cfg, deps, p.raftDir(cfg.Node.Dir))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	if !host.HasReplica(metaraft.ShardID, p.ReplicaID) {
		return nil, fmt.Errorf("%s holds no log of the metas: recover from a server that has its own", p.raftDir(cfg.Node.Dir))
	}
	group, err := metaraft.Open(metaraft.Options{Host: host, ReplicaID: p.ReplicaID, Join: p.Joined})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, group.Close()) }()
	wait := max(quietFor, electionsToWait*host.ElectionTimeout())
	for last, since := group.State().Index, time.Now(); time.Since(since) < wait; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait / 20): // nothing tells of the end of a replay
		}
		if leader, _ := group.Leader(); leader != 0 {
			return nil, fmt.Errorf("the metas have a leader, replica %d: there is nothing to recover", leader)
		}
		if now := group.State().Index; now != last {
			last, since = now, time.Now()
		}
	}
	if len(group.State().Metas()) == 0 {
		return nil, errors.New("this server's catalog is empty: it never was in a group at work, recover from another one")
	}
	return group.State(), nil
}

// noneAnswers refuses while another meta server runs: together they may be a majority, or it may know more.
func noneAnswers(ctx context.Context, addrs []string) error {
	pool := rpc.NewPool(rpc.PoolOptions{})
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, askTimeout*time.Duration(1+len(addrs)))
	defer cancel()
	for _, addr := range addrs {
		r := arion.NewStatusResponse()
		ask, done := context.WithTimeout(ctx, askTimeout)
		err := pool.Call(ask, addr, "RPC_ARION_STATUS", arion.NewStatusRequest(), r)
		done()
		if err != nil {
			continue
		}
		var index int64
		for _, report := range r.Replicas {
			index = max(index, report.AppliedIndex)
		}
		return fmt.Errorf("meta server %s runs (catalog index %d): start this one instead if they are a majority; "+
			"if not, stop it, and recover from the one with the highest index", addr, index)
	}
	return nil
}

func reform(ctx context.Context, cfg *config.Config, deps Deps, p place, id identity.Identity, s Survivor) error {
	next := place{ReplicaID: max(p.ReplicaID, uint64(len(cfg.Meta.Servers))) + 1, Started: true}
	for used := range maps.Keys(s.State.Metas()) {
		next.ReplicaID = max(next.ReplicaID, used+1)
	}
	next.Raft = fmt.Sprintf("%s-%d", usualRaft, next.ReplicaID)
	if err := os.RemoveAll(next.raftDir(cfg.Node.Dir)); err != nil { // of an attempt that did not get to the end
		return err
	}
	if err := firstCommand(ctx, cfg, deps, next, &catalog.ReformMetas{
		Catalog: string(s.State.Snapshot()), ReplicaID: next.ReplicaID, NodeID: int64(id.NodeID), Address: cfg.RPCAddress(),
	}); err != nil {
		return fmt.Errorf("form the metas' group anew: %w", err)
	}
	return next.write(cfg.Node.Dir)
}

// firstCommand makes a group of one and runs a command in it.
func firstCommand(ctx context.Context, cfg *config.Config, deps Deps, p place, c catalog.Command) (err error) {
	address, err := raftAddressOf(cfg.RPCAddress())
	if err != nil {
		return err
	}
	host, err := openRaft(cfg, deps, p.raftDir(cfg.Node.Dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	group, err := metaraft.Open(metaraft.Options{Host: host, ReplicaID: p.ReplicaID, Members: map[uint64]string{p.ReplicaID: address}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.Close()) }()
	for {
		changed := group.Changed()
		r, err := group.Propose(ctx, c)
		if err == nil && r.Code != code.OK {
			return code.Errorf(r.Code, "%s", r.Hint)
		}
		if !errors.Is(err, metaraft.ErrNotLeader) {
			return err
		}
		select {
		case <-changed:
		case <-time.After(host.Tick()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
