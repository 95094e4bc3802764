package obs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// HTTPOptions are what NewHTTP shows. Registry, Ready and Health may be nil.
type HTTPOptions struct {
	Registry prometheus.Gatherer
	// Ready says why requests cannot be served yet; nil means they can. A load
	// balancer asks it.
	Ready func() error
	// Notes tells, line by line, what is wrong though requests are served. May be nil.
	Notes func() []string
	// Health says why the process should be replaced. It must not depend on
	// other nodes, else one failure restarts the whole cluster.
	Health func() error

	Version   string
	GitCommit string
	Start     time.Time // of the server; zero means now
}

// HTTP is the handler of a server's HTTP side. Roles add their paths with Route.
type HTTP struct {
	mux   *http.ServeMux
	start time.Time
	opts  HTTPOptions

	mu   sync.RWMutex
	help map[string]string // path -> one sentence, the body of /
}

// NewHTTP makes a handler for /metrics (Prometheus text), /healthz, /readyz,
// /version, /recentStartTime, /debug/pprof/ and a JSON index of all paths at /.
func NewHTTP(o HTTPOptions) *HTTP {
	h := &HTTP{mux: http.NewServeMux(), start: o.Start, opts: o, help: map[string]string{}}
	if h.start.IsZero() {
		h.start = time.Now()
	}
	h.mux.HandleFunc("/{$}", h.index)
	h.help["/"] = "this index"
	h.Route("/healthz", "200 while the process is fit to live", verdict(o.Health, nil))
	h.Route("/readyz", "200 while the server can serve requests; below, what it cannot serve", verdict(o.Ready, o.Notes))
	h.Route("/version", "version and commit", http.HandlerFunc(h.version))
	h.Route("/recentStartTime", "when the server was started", http.HandlerFunc(h.recentStartTime))
	if o.Registry != nil {
		h.Route("/metrics", "metrics in the Prometheus text format", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{}))
	}
	h.routeProfiles()
	return h
}

// Route adds a path, in the pattern language of http.ServeMux, with the sentence
// the index shows. Adding a path twice is a programming error and panics.
func (h *HTTP) Route(pattern, help string, handler http.Handler) {
	h.mux.Handle(pattern, handler)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.help[pattern] = help
}

func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *HTTP) routeProfiles() {
	h.Route("/debug/pprof/", "profiles of the process", http.HandlerFunc(pprof.Index))
	h.mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	h.mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	h.mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	h.mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

func (h *HTTP) index(w http.ResponseWriter, _ *http.Request) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	WriteJSON(w, http.StatusOK, h.help)
}

func (h *HTTP) version(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusOK, struct{ Version, GitCommit string }{h.opts.Version, h.opts.GitCommit})
}

func (h *HTTP) recentStartTime(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusOK, struct{ RecentStartTime string }{h.start.Format(time.DateTime)})
}

// WriteJSON answers with v and the status. v must be something that encodes.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The peer may be gone, which concerns nobody.
	_, _ = w.Write(append(body, '\n'))
}

// verdict answers 200, and the notes, or 503 with the reason. A nil check is always
// content.
func verdict(check func() error, notes func() []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if check != nil {
			if err := check(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, "ok")
		if notes != nil {
			for _, note := range notes() {
				_, _ = fmt.Fprintln(w, note)
			}
		}
	})
}

// NewRegistry makes a registry with the metrics of the Go runtime and of the
// process. One per process: servers that share it wrap it with a label.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}
