package command

import (
	"bytes"
	"context"
	"fmt"
	"maps"
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
	screen := newScreen(c.session.Printer)
	defer screen.close()
	for n := 1; ; n++ {
		if err := sleep(ctx, every); err != nil {
			return c.ended(err)
		}
		after, err := c.look(ctx, a)
		if err != nil {
			return c.ended(err)
		}
		c.page(screen, before, after)
		if n == times {
			return c.done(render.Summary{Local: true})
		}
		before = after
	}
}

// snapshot is one look at the cluster.
type snapshot struct {
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
	return &snapshot{nodes: nodes, tables: tables}, err
}

// page prints the two tables of the page.
func (c *call) page(screen *screen, before, after *snapshot) {
	var out bytes.Buffer
	printer := *c.session.Printer
	printer.Out, printer.Err, printer.Terminal, printer.Quiet, printer.View = &out, &out, false, true, render.View{}
	if printer.Format != render.Wide {
		printer.Format = render.Table
	}
	nodeTable(&printer, before, after)
	fmt.Fprintln(&out)
	loadTable(&printer, before, after)
	alive := 0
	for _, n := range after.nodes {
		if n.alive {
			alive++
		}
	}
	title := fmt.Sprintf("arion top    %s    %d of %d nodes alive, %d tables    Ctrl-C ends", time.Now().Format(time.TimeOnly), alive, len(after.nodes), len(after.tables))
	screen.show(title, out.String())
}

// Rows and ends of tables that go to memory cannot fail.
func nodeTable(p *render.Printer, before, after *snapshot) {
	r := p.Begin(render.Shape{Columns: render.Columns("node", "state", "leaders", "replicas", "reads", "writes", "scans", "failed", "read_p99_ms", "write_p99_ms", "cpu_percent", "memory", "disk_free")})
	for i, n := range after.nodes {
		var was metrics.Set
		if i < len(before.nodes) && before.nodes[i].addr == n.addr {
			was = before.nodes[i].metrics
		}
		state := "alive"
		switch {
		case !n.alive:
			state = "dead"
		case n.err != nil:
			state = "silent"
		}
		_, free := n.space()
		_ = r.Row(n.addr, state, n.leaders, len(n.Replicas),
			callRate(was, n.metrics, readCalls), callRate(was, n.metrics, writeCalls), callRate(was, n.metrics, scanCalls), failRate(was, n.metrics),
			p99(was, n.metrics, readCalls), p99(was, n.metrics, writeCalls),
			percent(metrics.Rate(was, n.metrics, "process_cpu_seconds_total")), render.Size(n.metrics.Sum("process_resident_memory_bytes")), render.Size(free))
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

func loadTable(p *render.Printer, before, after *snapshot) {
	rates, all := writeRates(before.nodes, after.nodes), sizesOf(after.nodes)
	r := p.Begin(render.Shape{Columns: render.Columns("table", "partitions", "led", "log_entries", "hottest", "bytes", "lag")})
	for _, t := range after.tables {
		s := all[t.ID]
		if s == nil {
			s = &sizes{}
		}
		var sum, most float64
		hottest, led, lag := any(nil), 0, int64(0)
		for _, index := range slices.Sorted(maps.Keys(rates[t.ID])) {
			rate := rates[t.ID][index]
			sum += rate
			if rate > most {
				most, hottest = rate, fmt.Sprintf("%d.%d (%.0f/s)", t.ID, index, rate)
			}
		}
		for _, part := range s.partitions {
			if part.node != "" {
				led++
				lag = max(lag, part.applied-part.lowest)
			}
		}
		_ = r.Row(t.Name, t.Partitions, led, render.Rate(sum), hottest, render.Size(s.leaders), lag)
	}
	_ = r.Done(render.Summary{})
}
