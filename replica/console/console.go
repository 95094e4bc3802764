// Package console is what a replica server shows to operators and their tools:
// remote commands, figures under the names that the Pegasus tools ask for, and
// the HTTP paths behind them.
package console

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/replica/host"
)

// Memory is what engines share, in bytes.
type Memory interface {
	SharedBytes() (blockCache, memtables uint64)
}

// Options of a Console.
type Options struct {
	Host     *host.Host
	Config   *config.Config
	Log      *logrus.Entry
	Gatherer prometheus.Gatherer
	Memory   Memory // nil = unknown
}

// Console answers questions. It keeps nothing but the run-time settings.
type Console struct {
	o        Options
	settings []*setting
}

// New makes a Console.
func New(o Options) *Console {
	c := &Console{o: o}
	c.settings = c.listSettings()
	return c
}

// Register adds the remote commands.
func (c *Console) Register(r *remotecmd.Registry) {
	for _, cmd := range []remotecmd.Command{
		{Name: "perf-counters", Args: "", Help: "all counters as JSON", Run: c.counters(func(string, string) bool { return true })},
		{Name: "perf-counters-by-substr", Args: "text...", Help: "counters with one of the texts in their name", Run: c.counters(strings.Contains)},
		{Name: "perf-counters-by-prefix", Args: "text...", Help: "counters whose name begins so", Run: c.counters(strings.HasPrefix)},
		{Name: "perf-counters-by-postfix", Args: "text...", Help: "counters whose name ends so", Run: c.counters(strings.HasSuffix)},
		{Name: "flush-log", Help: "write out the log, which is never held back here", Run: func([]string) (string, error) { return "Flush done.", nil }},
		{Name: "reset-log-start-level", Args: "[debug|info|warning|error]", Help: "change the log level; without one, back to the configured", Run: c.resetLogLevel},
		{Name: "replica.query-compact", Args: "[table[.partition]...]", Help: "state of manual compactions", Run: c.queryCompact},
		{Name: "replica.query-app-envs", Args: "[table[.partition]...]", Help: "envs in force, per replica", Run: c.queryEnvs},
		{Name: "replica.hot-keys", Args: "[table[.partition]...]", Help: "hottest hash keys of the last seconds, per replica", Run: c.hotKeys},
		{Name: "replica.rates", Args: "[table[.partition]...]", Help: "requests and bytes per second of replicas, busiest first", Run: c.rates},
	} {
		r.Add(cmd)
	}
}

// HTTP adds the paths and returns the handler to serve: it is h but for
// /metrics, which speaks JSON to those who ask in the way of the C++ shell.
func (c *Console) HTTP(h *obs.HTTP) http.Handler {
	h.Route("/config", "one setting: ?name=X", http.HandlerFunc(c.config))
	h.Route("/configs", "all settings", http.HandlerFunc(c.configs))
	h.Route("/updateConfig", "change a run-time setting: ?name=value", http.HandlerFunc(c.updateConfig))
	h.Route("/replica/manual_compaction", "manual compactions of a table's replicas here: ?app_id=N", http.HandlerFunc(c.manualCompaction))
	h.Route("/replica/duplication", "duplications of a table here: ?appid=N", http.HandlerFunc(c.duplication))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" && wantsEntities(r.URL.Query()) {
			c.entities(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// shown is a replica with its partition's name.
type shown struct {
	table, index int32
	*host.Replica
}

func (s shown) name() string { return fmt.Sprintf("%d.%d", s.table, s.index) }

// replicas lists the open replicas in order; selectors are table ids or
// partitions such as 2.0, none selects all.
func (c *Console) replicas(selectors []string) ([]shown, error) {
	for _, s := range selectors {
		table, index, ok := strings.Cut(s, ".")
		_, err := strconv.ParseInt(table, 10, 32)
		if ok && err == nil {
			_, err = strconv.ParseInt(index, 10, 32)
		}
		if err != nil {
			return nil, fmt.Errorf("'%s' is neither a table id nor a partition such as 2.0", s)
		}
	}
	var out []shown
	c.o.Host.Each(func(table, index int32, r *host.Replica) {
		s := shown{table, index, r}
		if r.Table() != nil && selected(s, selectors) {
			out = append(out, s)
		}
	})
	sort.Slice(out, func(i, j int) bool {
		return out[i].table < out[j].table || out[i].table == out[j].table && out[i].index < out[j].index
	})
	if len(out) == 0 && len(selectors) > 0 {
		return nil, fmt.Errorf("no replica of %s on this node", strings.Join(selectors, ", "))
	}
	return out, nil
}

func selected(s shown, selectors []string) bool {
	for _, want := range selectors {
		if want == s.name() || want == strconv.Itoa(int(s.table)) {
			return true
		}
	}
	return len(selectors) == 0
}

func (c *Console) now() time.Time { return time.Now() }
