package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/metrics"
	"github.com/arionkv/arion/shell/render"
)

// finding is one thing that is wrong, or might become so.
type finding struct {
	severity severity
	subject  string
	what     string
	evidence string
	next     string // the command to go on with
}

type severity int

const (
	critical severity = iota // data cannot be reached, or is about to be lost
	warning                  // will become critical if nobody acts
	note                     // worth knowing
)

var severities = []string{"critical", "warning", "note"}

// What the doctor holds against a cluster. The limits are those at which a person
// still has time to act.
const (
	skewWarning     = 500 * time.Millisecond // leases allow for less than an election, which takes 500 ms
	slowSync        = 100 * time.Millisecond // a meta server is asked every second
	slowFsync       = 50 * time.Millisecond  // writes wait for it
	fewFilesPercent = 80                     // of the limit of open files
	diskWarning     = 15                     // percent free; compaction needs room to work in
	diskCritical    = 5
	lagEntries      = 10000 // log entries a follower is behind; beyond, the log may be cut
	hotFactor       = 4     // times the mean of the other partitions
	hotFloor        = 50    // requests a second below which nothing is hot
)

func doctorFlags(f *pflag.FlagSet) {
	f.Duration("watch_for", time.Second, "how long to watch the load for hot partitions; 0 = do not")
}

type checkup struct {
	c        *call
	a        *admin.Admin
	tables   []admin.Table
	routes   map[string]admin.Routing
	first    []*nodeView
	nodes    []*nodeView
	metas    []*metaView
	findings []finding
}

// metaView is what one meta server tells about itself.
type metaView struct {
	addr    string
	err     error
	metrics metrics.Set
	skew    *skew
}

func runDoctor(ctx context.Context, c *call) error {
	watch, _ := c.flags.GetDuration("watch_for") // parsed by pflag
	return c.administerFor(ctx, c.session.Timeout+watch+2*inspectTimeout, func(ctx context.Context, a *admin.Admin) error {
		d := &checkup{c: c, a: a, routes: map[string]admin.Routing{}}
		d.askMetas(ctx)
		d.checkMetas(ctx)
		looking, stop := ctx, func() {}
		if d.quorumLost() {
			looking, stop = context.WithTimeout(ctx, watch+inspectTimeout)
		}
		defer stop()
		if err := d.gather(looking, watch); err != nil {
			if d.quorumLost() && len(d.deadMetas()) < len(d.metas) {
				return d.report() // nothing else can be known
			}
			return err
		}
		d.checkDrains(ctx)
		d.checkStuck(ctx)
		for _, check := range []func(){d.checkNodes, d.checkDisks, d.checkFiles, d.checkClocks, d.checkSync, d.checkVersions,
			d.checkPartitions, d.checkReplicas, d.checkHot} {
			check()
		}
		return d.report()
	})
}

// gather looks at everything twice, to see what moves.
func (d *checkup) gather(ctx context.Context, watch time.Duration) (err error) {
	if d.first, err = inspect(ctx, d.a, detail{metrics: watch > 0}); err != nil {
		return err
	}
	if d.tables, err = d.a.ListTables(ctx, admin.StatusAvailable); err != nil {
		return err
	}
	for _, t := range d.tables {
		r, err := d.a.QueryTable(ctx, t.Name)
		if err != nil {
			d.find(critical, "table "+t.Name, "its partitions cannot be found", err.Error(), "cluster status")
			continue
		}
		d.routes[t.Name] = r
	}
	if err := sleep(ctx, watch); err != nil {
		return err
	}
	d.nodes, err = inspect(ctx, d.a, detail{disks: true, metrics: true, clock: true})
	return err
}

func (d *checkup) find(s severity, subject, what, evidence, next string) {
	d.findings = append(d.findings, finding{s, subject, what, evidence, next})
}

func (d *checkup) report() error {
	slices.SortStableFunc(d.findings, func(a, b finding) int { return cmp.Compare(a.severity, b.severity) })
	var counts [3]int
	r := d.c.open(render.Columns("severity", "subject", "finding", "evidence", "next"), func(p *render.Printer, row []any) string {
		return fmt.Sprintf("%s: %s: %s\n    evidence: %s\n    next:     %s", p.Text(row[0]), p.Text(row[1]), p.Text(row[2]), p.Text(row[3]), p.Text(row[4]))
	})
	for _, f := range d.findings {
		counts[f.severity]++
		if err := r.Row(severities[f.severity], f.subject, f.what, f.evidence, f.next); err != nil {
			return err
		}
	}
	if counts[critical] > 0 {
		d.c.exit = ExitFailed
	}
	text := fmt.Sprintf("%d nodes, %d tables: %d critical, %d warnings, %d notes", len(d.nodes), len(d.tables), counts[0], counts[1], counts[2])
	if len(d.findings) == 0 {
		text = fmt.Sprintf("%d nodes, %d tables: nothing found", len(d.nodes), len(d.tables))
	}
	return d.c.done(render.Summary{Text: text, Fields: []render.Field{
		{Name: "critical", Value: counts[critical]}, {Name: "warnings", Value: counts[warning]}, {Name: "notes", Value: counts[note]},
	}})
}

func (d *checkup) checkNodes() {
	for _, n := range d.nodes {
		switch {
		case !n.alive:
			d.find(critical, "node "+n.addr, "it is not alive", "the meta servers do not hear from it", "look at its log; node list -d")
		case n.err != nil:
			d.find(warning, "node "+n.addr, "it does not tell about itself", n.err.Error(), "remote_command -l "+n.addr+" server-stat")
		}
	}
	if len(d.nodes) < 3 {
		d.find(warning, "cluster", "too few nodes to bear the loss of one", fmt.Sprintf("%d replica servers", len(d.nodes)), "node list")
	}
}

// checkDrains reminds of nodes that somebody took out of service, perhaps long ago.
func (d *checkup) checkDrains(ctx context.Context) {
	drains, err := d.c.drains(ctx, d.a, "")
	if err != nil {
		return // older meta servers know no drains
	}
	for _, j := range drains {
		s := note
		if j.state == "stuck" {
			s = warning
		}
		d.find(s, "node "+j.object, "it is out of service: leaders and new replicas keep away from it", j.progress(), "node resume "+j.object)
	}
}

func (d *checkup) checkDisks() {
	for _, n := range d.nodes {
		capacity, free := n.space()
		if capacity == 0 {
			continue
		}
		percent := 100 * free / capacity
		s := warning
		if percent < diskCritical {
			s = critical
		}
		if percent < diskWarning {
			d.find(s, "node "+n.addr, "the disk is filling up",
				fmt.Sprintf("%s of %s free, %d %%", render.HumanBytes(free), render.HumanBytes(capacity), percent), "node disk; table stat")
		}
	}
}

func (d *checkup) checkFiles() {
	check := func(subject string, m metrics.Set) {
		open, limit := m.Sum("process_open_fds"), m.Sum("process_max_fds")
		if limit > 0 && 100*open > fewFilesPercent*limit {
			d.find(warning, subject, "it is running out of file descriptors", fmt.Sprintf("%.0f of %.0f open", open, limit), "raise the limit (ulimit -n) and restart it")
		}
		if limit > 0 && limit < 4096 {
			d.find(note, subject, "the limit of open files is low", fmt.Sprintf("%.0f", limit), "raise the limit (ulimit -n) and restart it")
		}
	}
	for _, n := range d.nodes {
		check("node "+n.addr, n.metrics)
	}
	for _, m := range d.metas {
		check("meta "+m.addr, m.metrics)
	}
}

func (d *checkup) checkClocks() {
	check := func(subject string, s *skew) {
		if s != nil && s.off() > skewWarning {
			d.find(warning, subject, "its clock is off; expiry and leases go by it",
				fmt.Sprintf("between %v and %v from the clock here", s.low.Round(time.Millisecond), s.high.Round(time.Millisecond)), "look at its time synchronisation")
		}
	}
	for _, n := range d.nodes {
		check("node "+n.addr, n.skew)
	}
	for _, m := range d.metas {
		check("meta "+m.addr, m.skew)
	}
}

// syncMetric is how long the raft log of a server takes to reach the disk.
const syncMetric = "arion_raft_log_sync_seconds"

func (d *checkup) checkSync() {
	var silent []string
	before := map[string]metrics.Set{}
	for _, n := range d.first {
		before[n.addr] = n.metrics
	}
	all := func(map[string]string) bool { return true }
	check := func(subject, addr string, m metrics.Set) {
		if m.At.IsZero() {
			return // it was not reached, which is a finding of its own
		}
		if !m.Has(syncMetric + "_count") {
			silent = append(silent, addr)
			return
		}
		p99 := metrics.Quantile(0.99, before[addr], m, syncMetric, all)
		when := "while watched"
		if math.IsNaN(p99) { // nothing was written meanwhile
			p99, when = metrics.Quantile(0.99, metrics.Set{}, m, syncMetric, all), "since its start"
		}
		if p99 > slowFsync.Seconds() {
			d.find(warning, subject, "its disk syncs slowly; every write waits for it",
				fmt.Sprintf("99 of 100 syncs took up to %s, %s", duration(p99), when), "look at the disk; arion bench --sync-dir measures it")
		}
	}
	for _, n := range d.nodes {
		p99 := metrics.Quantile(0.99, metrics.Set{}, n.metrics, "arion_rpc_client_call_duration_seconds",
			func(l map[string]string) bool { return l["name"] == "RPC_ARION_SYNC" })
		if p99 > slowSync.Seconds() {
			d.find(warning, "node "+n.addr, "it reaches the meta servers slowly", fmt.Sprintf("99 of 100 syncs take up to %s", duration(p99)), "server_stat -t meta-server")
		}
		check("node "+n.addr, n.addr, n.metrics)
	}
	for _, m := range d.metas {
		check("meta "+m.addr, m.addr, m.metrics)
	}
	if len(silent) > 0 {
		d.find(note, "cluster", "the latency of disk syncs is not measured",
			"these servers do not tell "+syncMetric+": "+some(silent), "server_info")
	}
}

func duration(seconds float64) string {
	if math.IsInf(seconds, 0) {
		return "more than 10 s"
	}
	return time.Duration(seconds * float64(time.Second)).String()
}

func (d *checkup) checkVersions() {
	versions := map[string][]string{}
	for _, n := range d.nodes {
		if n.Version != "" {
			versions[n.Version] = append(versions[n.Version], n.addr)
		}
	}
	if len(versions) > 1 {
		var parts []string
		for v, nodes := range versions {
			parts = append(parts, fmt.Sprintf("%s on %d nodes", v, len(nodes)))
		}
		slices.Sort(parts)
		d.find(note, "cluster", "the nodes run different versions", strings.Join(parts, ", "), "server_info")
	}
}

// checkStuck names the partitions that cannot choose a leader. Routing goes on
// naming the last one.
func (d *checkup) checkStuck(ctx context.Context) {
	stuck, err := d.a.Diagnose(ctx)
	if err != nil {
		d.find(warning, "cluster", "the meta servers do not say which partitions are stuck", err.Error(), "ddd_diagnose")
		return
	}
	const shown = 5
	for i, p := range stuck {
		name := fmt.Sprintf("%d.%d", p.Partition.Table, p.Partition.Index)
		if i == shown {
			d.find(critical, "cluster", "more partitions have no leader", fmt.Sprintf("%d in all", len(stuck)), "ddd_diagnose")
			return
		}
		d.find(critical, "partition "+name, "it has no leader: it neither reads nor writes", p.Reason,
			"bring the nodes back; if they are lost for good: partition recover "+name+" --dry-run")
	}
}

func (d *checkup) checkPartitions() {
	for _, t := range d.tables {
		var leaderless, missing []string
		for _, p := range d.routes[t.Name].Partitions {
			switch {
			case p.Leader == "":
				leaderless = append(leaderless, fmt.Sprint(p.Index))
			case len(p.Followers)+1 < p.Replicas:
				missing = append(missing, fmt.Sprint(p.Index))
			}
		}
		if len(leaderless) > 0 {
			d.find(critical, "table "+t.Name, "partitions have no leader: they neither read nor write",
				fmt.Sprintf("%d of %d: %s", len(leaderless), t.Partitions, some(leaderless)), "cluster status; ddd_diagnose")
		}
		if len(missing) > 0 {
			d.find(warning, "table "+t.Name, "partitions miss replicas",
				fmt.Sprintf("%d of %d: %s", len(missing), t.Partitions, some(missing)), "cluster status")
		}
		if t.Replicas < 3 {
			d.find(note, "table "+t.Name, "it does not bear the loss of a node", fmt.Sprintf("%d replicas", t.Replicas), fmt.Sprintf("table replicas %s 3", t.Name))
		}
	}
}

// some shortens a list.
func some(list []string) string {
	const shown = 8
	if len(list) > shown {
		return strings.Join(list[:shown], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}

func (d *checkup) checkReplicas() {
	for _, n := range d.nodes {
		for _, r := range n.Replicas {
			if r.Error != "" || r.State == "FAILED" || r.State == "LOST" {
				d.find(critical, fmt.Sprintf("replica %d.%d on %s", r.Partition.Table, r.Partition.Index, n.addr), "it does not work",
					cmp.Or(r.Error, strings.ToLower(r.State)), "remote_command -l "+n.addr+" replica.checksum; look at the log of the node")
			}
		}
	}
	for _, t := range d.tables {
		s := sizes{partitions: map[int32]*partitionSize{}}
		for _, n := range d.nodes {
			for _, r := range n.Replicas {
				if r.Partition.Table == t.ID {
					s.add(n.addr, r)
				}
			}
		}
		for index, p := range s.partitions {
			if lag := p.applied - p.lowest; p.applied > 0 && lag > lagEntries {
				d.find(warning, fmt.Sprintf("partition %d.%d", t.ID, index), "a follower is far behind its leader", fmt.Sprintf("%d log entries", lag), "table stat "+t.Name)
			}
		}
	}
}

// checkHot compares what the partitions were asked between the two looks.
func (d *checkup) checkHot() {
	for _, kind := range []string{"read", "write"} {
		loads := requestRates(d.first, d.nodes, kind)
		for _, t := range d.tables {
			rates := loads[t.Name]
			var sum float64
			for _, rate := range rates {
				sum += rate
			}
			for _, index := range slices.Sorted(maps.Keys(rates)) {
				rest := (sum - rates[index]) / float64(max(1, t.Partitions-1))
				if rates[index] > hotFloor && rates[index] > hotFactor*rest && t.Partitions > 1 {
					d.find(warning, fmt.Sprintf("partition %d.%d", t.ID, index), fmt.Sprintf("it is hot: it takes far more %ss than the others of table %s", kind, t.Name),
						fmt.Sprintf("%.0f %ss/s, the others %.0f on average", rates[index], kind, rest),
						fmt.Sprintf("hot_keys %s; detect_hotkey -a %d -p %d -t %s -c start", t.Name, t.ID, index, kind))
				}
			}
		}
	}
}

// requestRates gives the requests a second of a kind, read or write, by table and
// partition, from two looks at the metrics of the nodes.
func requestRates(first, second []*nodeView, kind string) map[string]map[int]float64 {
	const name = "arion_replica_partition_requests_total"
	before := map[string]metrics.Set{}
	for _, n := range first {
		before[n.addr] = n.metrics
	}
	rates := map[string]map[int]float64{}
	for _, n := range second {
		was := before[n.addr]
		if was.At.IsZero() || n.metrics.At.IsZero() {
			continue
		}
		for _, x := range n.metrics.Samples[name] {
			index, err := strconv.Atoi(x.Labels["partition"])
			if x.Labels["kind"] != kind || err != nil {
				continue
			}
			table := x.Labels["table"]
			if rates[table] == nil {
				rates[table] = map[int]float64{}
			}
			rates[table][index] += metrics.Rate(was, n.metrics, name, "kind", kind, "table", table, "partition", x.Labels["partition"])
		}
	}
	return rates
}

// writeRates gives the log entries a second of each partition, by table and
// partition, from two looks at the nodes.
func writeRates(first, second []*nodeView) map[int32]map[int32]float64 {
	type seen struct {
		applied int64
		at      time.Time
	}
	before := map[admin.PartitionID]seen{}
	for _, n := range first {
		for _, r := range n.Replicas {
			if r.Leading {
				before[r.Partition] = seen{r.Applied, n.at}
			}
		}
	}
	rates := map[int32]map[int32]float64{}
	for _, n := range second {
		for _, r := range n.Replicas {
			was, ok := before[r.Partition]
			if !r.Leading || !ok || !n.at.After(was.at) {
				continue
			}
			if rates[r.Partition.Table] == nil {
				rates[r.Partition.Table] = map[int32]float64{}
			}
			rates[r.Partition.Table][r.Partition.Index] = max(0, float64(r.Applied-was.applied)) / n.at.Sub(was.at).Seconds()
		}
	}
	return rates
}

// askMetas asks each meta server by itself, so that the dead ones are known even
// when they were the majority.
func (d *checkup) askMetas(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	for _, addr := range d.c.session.votingMetas(short, d.a) {
		d.metas = append(d.metas, &metaView{addr: addr})
	}
	ctx, cancel = context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	var group sync.WaitGroup
	for _, m := range d.metas {
		group.Go(func() {
			var refused *remoteError
			if _, err := understood(d.a.RemoteCommand(ctx, m.addr, "server-info")); err != nil && !errors.As(err, &refused) {
				m.err = err
				return
			}
			m.metrics, _ = metrics.Fetch(ctx, m.addr) // absent is told where it matters
			m.skew = measureSkew(ctx, m.addr)
		})
	}
	group.Wait()
}

func (d *checkup) deadMetas() (dead []string) {
	for _, m := range d.metas {
		if m.err != nil {
			dead = append(dead, m.addr)
		}
	}
	return dead
}

// quorumLost tells whether too few meta servers answer to decide anything.
func (d *checkup) quorumLost() bool { return 2*len(d.deadMetas()) >= len(d.metas) && len(d.metas) > 0 }

func (d *checkup) checkMetas(ctx context.Context) {
	dead := d.deadMetas()
	for _, m := range d.metas {
		if m.err != nil {
			d.find(warning, "meta "+m.addr, "it does not answer", m.err.Error(), "look at its log; cluster metas")
		}
	}
	alive := fmt.Sprintf("%d of %d meta servers answer, %d are needed", len(d.metas)-len(dead), len(d.metas), len(d.metas)/2+1)
	switch {
	case d.quorumLost():
		d.find(critical, "cluster", "the meta servers have no majority: nothing can be administered, and dead nodes are not replaced", alive,
			"start "+some(dead)+"; data is served meanwhile; lost for good: arion meta recover")
		return
	case len(dead) > 0 && 2*(len(dead)+1) >= len(d.metas):
		d.find(warning, "cluster", "the loss of one more meta server stops administration", alive, "start "+some(dead))
	}
	if level, err := d.a.Level(ctx); err == nil && level < admin.LevelSteady {
		d.find(warning, "cluster", "the meta level forbids repair", "level "+level.String(), "cluster level steady")
	}
}
