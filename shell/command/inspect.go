package command

import (
	"context"
	"sync"
	"time"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/metrics"
)

// nodeView is what one replica server tells about itself. What could not be had is
// absent, and err says why.
type nodeView struct {
	addr    string
	alive   bool // as the meta servers see it
	err     error
	latency time.Duration // of one call
	at      time.Time
	admin.NodeState
	leaders int
	disks   []admin.Disk
	metrics metrics.Set
	skew    *skew
}

// inspectTimeout bounds the look at one node: a dead one must not hold up the
// rest.
const inspectTimeout = 2 * time.Second

// what inspect asks for beside the replicas.
type detail struct{ disks, metrics, clock bool }

// inspect asks all nodes at once.
func inspect(ctx context.Context, a *admin.Admin, want detail) ([]*nodeView, error) {
	nodes, err := a.ListNodes(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]*nodeView, len(nodes))
	var group sync.WaitGroup
	for i, n := range nodes {
		views[i] = &nodeView{addr: n.Addr, alive: n.Alive}
		if !n.Alive {
			continue
		}
		group.Go(func() { views[i].look(ctx, a, want) })
	}
	group.Wait()
	return views, ctx.Err()
}

func (v *nodeView) look(ctx context.Context, a *admin.Admin, want detail) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	begin := time.Now()
	v.NodeState, v.err = a.NodeState(ctx, v.addr)
	v.at = time.Now()
	v.latency = v.at.Sub(begin)
	for _, r := range v.Replicas {
		if r.Leading {
			v.leaders++
		}
	}
	var err error
	if want.disks {
		if v.disks, err = a.QueryDisks(ctx, v.addr, ""); err != nil && v.err == nil {
			v.err = err
		}
	}
	if want.metrics {
		if v.metrics, err = metrics.Fetch(ctx, v.addr); err != nil && v.err == nil {
			v.err = err
		}
	}
	if want.clock {
		v.skew = measureSkew(ctx, v.addr)
	}
}

func (v *nodeView) space() (capacity, free int64) {
	for _, d := range v.disks {
		capacity += d.CapacityMB << 20
		free += d.FreeMB << 20
	}
	return capacity, free
}
