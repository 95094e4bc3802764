package command

import (
	"context"
	"sync"
	"time"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/profile"
)

// names are what completion and the prompt know of the cluster. They are fetched
// in the background: nothing waits for them longer than a person would notice.
type names struct {
	mu       sync.Mutex
	known    Known
	fetched  time.Time
	fetching chan struct{} // closed when the fetch under way is done
}

// Known is what was last heard of the cluster.
type Known struct {
	Cluster string
	Tables  []string
	Nodes   []string
	Stale   bool // the meta servers did not answer lately
}

const (
	// completionWait is what completion may take before a person notices.
	completionWait = 50 * time.Millisecond
	// namesLife is how long names are taken as they are.
	namesLife = 3 * time.Second
	// namesTimeout bounds a fetch.
	namesTimeout = 2 * time.Second
)

// forget drops what is known, for another cluster.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known, n.fetched, n.fetching = Known{}, time.Time{}, nil
}

// Known gives names of the cluster, after at most 50 ms. Old ones are given while
// new ones are on their way.
func (s *Session) Known() Known {
	n := &s.names
	n.mu.Lock()
	if time.Since(n.fetched) > namesLife && n.fetching == nil {
		n.fetching = make(chan struct{})
		// The settings are taken here: the session may change while the fetch runs.
		go n.fetch(n.fetching, s.Metas, s.Profile)
	}
	wait := n.fetching
	n.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-time.After(completionWait):
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known
}

// fetchNames has a connection of its own: it runs beside a verb.
func (n *names) fetch(done chan struct{}, metas []string, p *profile.Profile) {
	ctx, cancel := context.WithTimeout(context.Background(), namesTimeout)
	defer cancel()
	known, err := askNames(ctx, metas, p)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		known = n.known
	}
	known.Stale = err != nil
	close(done)
	if n.fetching == done { // else the session went over to another cluster
		n.known, n.fetched, n.fetching = known, time.Now(), nil
	}
}

func askNames(ctx context.Context, metas []string, p *profile.Profile) (Known, error) {
	var known Known
	options, err := security(ctx, p)
	if err != nil {
		return known, err
	}
	a, err := admin.Open(ctx, metas, options...)
	if err != nil {
		return known, err
	}
	defer a.Close()
	facts, err := a.ClusterInfo(ctx)
	if err != nil {
		return known, err
	}
	known.Cluster = facts.Get("cluster_name")
	tables, err := a.ListTables(ctx, admin.StatusAvailable)
	if err != nil {
		return known, err
	}
	for _, t := range tables {
		known.Tables = append(known.Tables, t.Name)
	}
	nodes, err := a.ListNodes(ctx)
	for _, n := range nodes {
		known.Nodes = append(known.Nodes, n.Addr)
	}
	return known, err
}
