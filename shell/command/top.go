package command

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/metrics"
	"github.com/arionkv/arion/shell/render"
)

func topFlags(f *pflag.FlagSet) {
	f.DurationP("interval", "i", 2*time.Second, "time between two looks")
	f.IntP("times", "n", 0, "end after so many pages; 0 = at Ctrl-C")
}

// rpcPrefix begins the names of the calls of clients on records.
const rpcPrefix = "RPC_RRDB_RRDB_"

// What a call is to top. The rest counts as other.
var (
	readCalls  = []string{"GET", "MULTI_GET", "BATCH_GET", "SORTKEY_COUNT", "TTL"}
	writeCalls = []string{"PUT", "MULTI_PUT", "REMOVE", "MULTI_REMOVE", "INCR", "CHECK_AND_SET", "CHECK_AND_MUTATE"}
	scanCalls  = []string{"GET_SCANNER", "SCAN"}
)

func runTop(ctx context.Context, c *call) error {
	every, _ := c.flags.GetDuration("interval") // parsed by pflag
	if every < 100*time.Millisecond {
		return usagef("--interval is below 100ms")
	}
	conn, err := c.session.connect(ctx)
	if err != nil {
		return err
	}
	a := admin.New(conn)
	before, err := c.look(ctx, a)
	if err != nil {
		return err
	}
	times := c.flagInt("times")
	show := c.pages()
	defer show.close()
	for n := 1; ; n++ {
		if err := sleep(ctx, every); err != nil {
			return c.ended(err)
		}
		after, err := c.look(ctx, a)
		if err != nil {
			return c.ended(err)
		}
		if err := show.page(before, after); err != nil {
			return err
		}
		if n == times {
			return c.done(render.Summary{Local: true})
		}
		before = after
	}
}

// pages shows one page after the other: to people on a screen, to programs as
// rows.
type pages struct {
	c      *call
	screen *screen
	rows   render.Result // nil for people
}

func (c *call) pages() *pages {
	p := &pages{c: c, screen: newScreen(c.session.Printer)}
	if !c.session.Printer.People() {
		p.rows = c.open(render.Columns(append([]string{"time"}, loadColumns...)...), nil)
	}
	return p
}

func (p *pages) close() { p.screen.close() }

func (p *pages) page(before, after *snapshot) error {
	if p.rows == nil {
		printer := *p.c.session.Printer
		if printer.Screen != nil {
			printer.Width, _ = printer.Screen()
		}
		p.screen.show(frame(printer, before, after))
		return nil
	}
	for _, l := range append(nodeLoads(before, after), tableLoads(before, after)...) {
		if err := p.rows.Row(append([]any{after.at.UTC().Truncate(time.Second)}, l.all()...)...); err != nil {
			return err
		}
	}
	return nil
}

// snapshot is one look at the cluster.
type snapshot struct {
	at     time.Time
	nodes  []*nodeView
	tables []admin.Table
}

func (c *call) look(ctx context.Context, a *admin.Admin) (*snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, c.session.Timeout+inspectTimeout)
	defer cancel()
	nodes, err := inspect(ctx, a, detail{metrics: true, disks: true})
	if err != nil {
		return nil, err
	}
	tables, err := a.ListTables(ctx, admin.StatusAvailable)
	return &snapshot{at: time.Now(), nodes: nodes, tables: tables}, err
}

// frame makes a page of two looks.
func frame(printer render.Printer, before, after *snapshot) (title, text string) {
	var out bytes.Buffer
	printer.Out, printer.Err, printer.Terminal, printer.Quiet, printer.View = &out, &out, false, true, render.View{}
	if printer.Format != render.Wide {
		printer.Format = render.Table
	}
	width := printer.Width
	printer.Width = 0 // what does not fit loses columns, rather than being turned on its side
	out.WriteString(fitting(&printer, width, lessOfNodes, func() { nodeTable(&printer, before, after) }))
	out.WriteString("\n" + fitting(&printer, width, lessOfTables, func() { tableTable(&printer, before, after) }))
	alive := 0
	for _, n := range after.nodes {
		if n.alive {
			alive++
		}
	}
	return fmt.Sprintf("arion top    %s    %d of %d nodes alive, %d tables    Ctrl-C ends",
		after.at.Format(time.TimeOnly), alive, len(after.nodes), len(after.tables)), out.String()
}

// load is a line of the page, of a node or a table; nil is not known.
type load struct {
	kind, name, state             string
	leaders, replicas             int
	reads, writes, scans, failed  any
	readP99, writeP99             any
	cpu, memory, disk, bytes, lag any
	hottest                       any
}

// loadColumns are those of the rows that programs get.
var loadColumns = []string{"kind", "name", "state", "leaders", "replicas", "reads", "writes", "scans", "failed", "read_p99_ms", "write_p99_ms",
	"cpu_percent", "memory_bytes", "disk_free_bytes", "bytes", "hottest", "lag"}

func (l load) all() []any {
	return []any{l.kind, l.name, orNil(l.state), l.leaders, l.replicas, l.reads, l.writes, l.scans, l.failed, l.readP99, l.writeP99,
		l.cpu, l.memory, l.disk, l.bytes, l.hottest, l.lag}
}

func nodeLoads(before, after *snapshot) []load {
	var all []load
	for i, n := range after.nodes {
		var was metrics.Set
		if i < len(before.nodes) && before.nodes[i].addr == n.addr {
			was = before.nodes[i].metrics
		}
		l := load{kind: "node", name: n.addr, state: "alive", leaders: n.leaders, replicas: len(n.Replicas),
			reads: callRate(was, n.metrics, readCalls), writes: callRate(was, n.metrics, writeCalls), scans: callRate(was, n.metrics, scanCalls),
			failed: failRate(was, n.metrics), readP99: p99(was, n.metrics, readCalls), writeP99: p99(was, n.metrics, writeCalls)}
		switch {
		case !n.alive:
			l.state = "dead"
		case n.err != nil:
			l.state = "silent"
		}
		if !n.metrics.At.IsZero() {
			l.cpu, l.memory = percent(metrics.Rate(was, n.metrics, "process_cpu_seconds_total")), render.Size(n.metrics.Sum("process_resident_memory_bytes"))
		}
		if capacity, free := n.space(); capacity > 0 {
			l.disk = render.Size(free)
		}
		all = append(all, l)
	}
	return all
}

// What a page leaves out where the screen is too narrow, the first to go first.
var (
	lessOfNodes  = []string{"replicas", "failed", "disk_free", "memory", "scans", "cpu_percent", "leaders", "read_p99_ms", "write_p99_ms", "state"}
	lessOfTables = []string{"led", "lag", "partitions", "scans", "bytes", "hottest"}
)

// fitting draws a table with as few columns less as its width needs.
func fitting(p *render.Printer, width int, less []string, draw func()) string {
	for gone := 0; ; gone++ {
		var out bytes.Buffer
		p.Out, p.View.Without = &out, less[:gone]
		draw()
		if width == 0 || gone == len(less) || widest(out.String()) <= width {
			return out.String()
		}
	}
}

func widest(text string) int {
	most := 0
	for _, line := range strings.Split(text, "\n") {
		most = max(most, len([]rune(line)))
	}
	return most
}

// Rows and ends of tables that go to memory cannot fail.
func nodeTable(p *render.Printer, before, after *snapshot) {
	r := p.Begin(render.Shape{Columns: render.Columns("node", "state", "leaders", "replicas", "reads", "writes", "scans", "failed", "read_p99_ms", "write_p99_ms", "cpu_percent", "memory", "disk_free")})
	for _, l := range nodeLoads(before, after) {
		_ = r.Row(l.name, l.state, l.leaders, l.replicas, l.reads, l.writes, l.scans, l.failed, l.readP99, l.writeP99, l.cpu, l.memory, l.disk)
	}
	_ = r.Done(render.Summary{})
}

func percent(part float64) any { return int(math.Round(100 * part)) }

func callRate(before, after metrics.Set, calls []string) any {
	if before.At.IsZero() || after.At.IsZero() {
		return nil
	}
	var sum float64
	for _, name := range calls {
		sum += metrics.Rate(before, after, "arion_rpc_requests_total", "name", rpcPrefix+name)
	}
	return render.Rate(sum)
}

// failRate is the calls a second that were answered with an error.
func failRate(before, after metrics.Set) any {
	if before.At.IsZero() || after.At.IsZero() {
		return nil
	}
	return render.Rate(max(0, metrics.Rate(before, after, "arion_rpc_requests_total")-metrics.Rate(before, after, "arion_rpc_requests_total", "code", "ERR_OK")))
}

func p99(before, after metrics.Set, calls []string) any {
	q := metrics.Quantile(0.99, before, after, "arion_rpc_request_duration_seconds", func(l map[string]string) bool {
		name, ok := strings.CutPrefix(l["name"], rpcPrefix)
		return ok && slices.Contains(calls, name)
	})
	if math.IsNaN(q) || math.IsInf(q, 0) {
		return nil
	}
	return math.Round(q*1e5) / 100
}

// What the nodes count by table.
var (
	readOperations  = []string{"get", "multi_get", "batch_get", "sortkey_count", "ttl"}
	writeOperations = []string{"put", "multi_put", "remove", "multi_remove", "incr", "check_and_set", "check_and_mutate"}
	scanOperations  = []string{"get_scanner", "scan"}
)

// tableRate adds up what all nodes counted for a table; nil when none tells.
func tableRate(before, after *snapshot, table string, operations []string) any {
	var sum float64
	told := false
	for i, n := range after.nodes {
		if i >= len(before.nodes) || before.nodes[i].addr != n.addr || before.nodes[i].metrics.At.IsZero() || n.metrics.At.IsZero() {
			continue
		}
		told = true
		for _, op := range operations {
			sum += metrics.Rate(before.nodes[i].metrics, n.metrics, "arion_replica_requests_total", "operation", op, "table", table)
		}
	}
	if !told {
		return nil
	}
	return render.Rate(sum)
}

func tableLoads(before, after *snapshot) []load {
	var all []load
	held := sizesOf(after.nodes)
	reads, writes := requestRates(before.nodes, after.nodes, "read"), requestRates(before.nodes, after.nodes, "write")
	for _, t := range after.tables {
		l := load{kind: "table", name: t.Name, replicas: t.Partitions * t.Replicas,
			reads: tableRate(before, after, t.Name, readOperations), writes: tableRate(before, after, t.Name, writeOperations),
			scans: tableRate(before, after, t.Name, scanOperations)}
		var most float64
		for index := range t.Partitions {
			if rate := reads[t.Name][index] + writes[t.Name][index]; rate > most {
				most, l.hottest = rate, fmt.Sprintf("%d.%d (%.0f/s)", t.ID, index, rate)
			}
		}
		if s := held[t.ID]; s != nil {
			lag := int64(0)
			for _, part := range s.partitions {
				if part.node != "" {
					l.leaders++
					lag = max(lag, part.applied-part.lowest)
				}
			}
			l.bytes, l.lag = render.Size(s.leaders), lag
		}
		all = append(all, l)
	}
	return all
}

func tableTable(p *render.Printer, before, after *snapshot) {
	r := p.Begin(render.Shape{Columns: render.Columns("table", "partitions", "led", "reads", "writes", "scans", "hottest", "bytes", "lag")})
	for i, l := range tableLoads(before, after) {
		_ = r.Row(l.name, after.tables[i].Partitions, l.leaders, l.reads, l.writes, l.scans, l.hottest, l.bytes, l.lag)
	}
	_ = r.Done(render.Summary{})
}
