package console

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/replica/load"
)

// entity is a thing with metrics, as the C++ shell reads them.
type entity struct {
	Type       string            `json:"type"`
	ID         string            `json:"id"`
	Attributes map[string]string `json:"attributes"`
	Metrics    []map[string]any  `json:"metrics"`
}

// The parameters that ask for JSON in place of the Prometheus text.
var entityParameters = []string{"types", "ids", "attributes", "metrics", "with_metric_fields", "detail"}

func wantsEntities(q url.Values) bool {
	return slices.ContainsFunc(entityParameters, q.Has)
}

// filters are the comma-separated lists of a question; an empty one lets all pass.
type filters struct {
	types, ids, metrics, fields []string
	attributes                  [][2]string // one of them must hold
}

func readFilters(q url.Values) (f filters, err error) {
	f.types, f.ids, f.metrics, f.fields = list(q, "types"), list(q, "ids"), list(q, "metrics"), list(q, "with_metric_fields")
	pairs := list(q, "attributes")
	if len(pairs)%2 != 0 {
		return f, fmt.Errorf("attributes must be pairs: name,value,...")
	}
	for i := 0; i < len(pairs); i += 2 {
		f.attributes = append(f.attributes, [2]string{pairs[i], pairs[i+1]})
	}
	return f, nil
}

func list(q url.Values, name string) []string {
	if q.Get(name) == "" {
		return nil
	}
	return strings.Split(q.Get(name), ",")
}

func passes(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }

// apply reduces an entity to what was asked for; false if nothing is left of it.
func (f filters) apply(e *entity) bool {
	if !passes(f.types, e.Type) || !passes(f.ids, e.ID) {
		return false
	}
	if len(f.attributes) > 0 && !slices.ContainsFunc(f.attributes, func(a [2]string) bool { return e.Attributes[a[0]] == a[1] }) {
		return false
	}
	e.Metrics = slices.DeleteFunc(e.Metrics, func(m map[string]any) bool {
		for field := range m {
			if field != "name" && !passes(f.fields, field) {
				delete(m, field)
			}
		}
		return !passes(f.metrics, m["name"].(string)) || len(m) < 2
	})
	return len(e.Metrics) > 0
}

func (c *Console) entities(w http.ResponseWriter, r *http.Request) {
	f, err := readFilters(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hostName, port, _ := net.SplitHostPort(c.o.Config.RPCAddress())
	number, _ := strconv.Atoi(port)
	out := []entity{}
	for _, e := range c.allEntities() {
		if f.apply(&e) {
			out = append(out, e)
		}
	}
	obs.WriteJSON(w, http.StatusOK, map[string]any{
		"cluster": c.o.Config.Node.Cluster, "role": "replica", "host": hostName, "port": number,
		"timestamp_ns": c.now().UnixNano(), "entities": out,
	})
}

func value(name string, v any) map[string]any { return map[string]any{"name": name, "value": v} }

func (c *Console) allEntities() []entity {
	out := []entity{c.serverEntity(), c.diskEntity()}
	out = append(out, c.profilerEntities()...)
	replicas, _ := c.replicas(nil)
	for _, r := range replicas {
		out = append(out, replicaEntity(r))
	}
	return out
}

func (c *Console) serverEntity() entity {
	virtual, resident := processMemory()
	cache, memtables := c.shared()
	replicas, _ := c.replicas(nil)
	leaders := 0
	for _, r := range replicas {
		if r.Leading() {
			leaders++
		}
	}
	held := c.o.Host.Reports()
	return entity{"server", "replica", map[string]string{}, []map[string]any{
		value("virtual_mem_usage_mb", virtual/megabyte), value("resident_mem_usage_mb", resident/megabyte),
		value("rdb_block_cache_mem_usage_bytes", cache),
		value("rdb_wbm_total_mem_usage_bytes", memtables), value("rdb_wbm_mutable_mem_usage_bytes", memtables),
		value("total_replicas", len(held)), value("opening_replicas", len(held)-len(replicas)), value("closing_replicas", 0),
		value("inactive_replicas", 0), value("error_replicas", 0),
		value("primary_replicas", leaders), value("secondary_replicas", len(replicas)-leaders),
		value("learning_replicas", 0), value("splitting_replicas", 0),
	}}
}

func (c *Console) diskEntity() entity {
	capacity, available := c.o.Host.Disk().Space()
	return entity{"disk", "data", map[string]string{"data_dir": c.o.Host.Disk().Dir()}, []map[string]any{
		value("disk_capacity_total_mb", capacity/megabyte), value("disk_capacity_avail_mb", available/megabyte),
	}}
}

func replicaEntity(r shown) entity {
	t := r.Load.Totals()
	id := strconv.Itoa(int(r.table))
	index := strconv.Itoa(int(r.index))
	e := entity{"replica", r.name(), map[string]string{"table_id": id, "partition_id": index, "table_name": r.Table().Name}, nil}
	add := func(name string, v any) { e.Metrics = append(e.Metrics, value(name, v)) }
	for o := range load.Ops {
		if o == load.GetScanner || o == load.Scan {
			continue
		}
		add(o.String()+"_requests", t.Requests[o])
		add(o.String()+"_bytes", t.Bytes[o])
	}
	add("scan_requests", t.Requests[load.GetScanner]+t.Requests[load.Scan])
	add("scan_bytes", t.Bytes[load.GetScanner]+t.Bytes[load.Scan])
	add("backup_requests", r.Load.Backup.Load())
	add("backup_request_bytes", r.Load.BackupBytes.Load())
	add("slow_requests", r.Load.Slow.Load())
	if eng, err := r.Acquire(); err == nil {
		st := eng.Stats()
		eng.Release()
		add("rdb_total_sst_size_mb", st.SizeBytes/megabyte)
		add("rdb_total_sst_files", st.TableFiles)
		add("rdb_estimated_keys", st.EstimatedKeys)
		add("rdb_memtable_mem_usage_bytes", st.MemtableBytes)
		add("rdb_index_and_filter_blocks_mem_usage_bytes", st.TableReaderBytes)
	}
	if r.Leading() {
		addThrottled(r, add)
	}
	return e
}

// addThrottled gives the counts of the table on this node, divided among the
// replicas that lead, so that the tools' sums come out right.
func addThrottled(r shown, add func(string, any)) {
	n := max(uint64(r.Throttle.Leaders()), 1)
	c := &r.Throttle.Counts
	add("throttling_delayed_write_requests", c.Write.Delayed.Load()/n)
	add("throttling_rejected_write_requests", c.Write.Rejected.Load()/n)
	add("throttling_delayed_read_requests", c.Read.Delayed.Load()/n)
	add("throttling_rejected_read_requests", c.Read.Rejected.Load()/n)
	add("throttling_delayed_backup_requests", c.Backup.Delayed.Load()/n)
	add("throttling_rejected_backup_requests", c.Backup.Rejected.Load()/n)
}

// latencyMetric is the histogram of internal/rpc.
const latencyMetric = "arion_rpc_request_duration_seconds"

// profilerEntities are the latencies by call, from the histograms since start.
func (c *Console) profilerEntities() (out []entity) {
	families, err := c.o.Gatherer.Gather()
	if err != nil {
		return nil // the other figures are still right
	}
	for _, f := range families {
		if f.GetName() != latencyMetric {
			continue
		}
		for _, m := range f.GetMetric() {
			task, h := "", histogram{count: float64(m.GetHistogram().GetSampleCount())}
			for _, l := range m.GetLabel() {
				if l.GetName() == "name" {
					task = l.GetValue()
				}
			}
			for _, b := range m.GetHistogram().GetBucket() {
				h.buckets = append(h.buckets, bucket{b.GetUpperBound(), float64(b.GetCumulativeCount())})
			}
			if h.count > 0 {
				out = append(out, entity{"profiler", task, map[string]string{"task_name": task}, []map[string]any{latency(h)}})
			}
		}
	}
	return out
}

func latency(h histogram) map[string]any {
	m := map[string]any{"name": "profiler_server_rpc_latency_ns"}
	for name, q := range map[string]float64{"p50": .5, "p90": .9, "p95": .95, "p99": .99, "p999": .999} {
		m[name] = int64(h.quantile(q) * 1e9)
	}
	return m
}

type histogram struct {
	count   float64
	buckets []bucket
}

type bucket struct{ bound, upTo float64 } // observations up to the bound

// quantile estimates seconds, linear within a bucket; beyond the last bucket it
// is that bucket's bound.
func (h histogram) quantile(q float64) float64 {
	want := q * h.count
	low, before := 0.0, 0.0
	for _, b := range h.buckets {
		if math.IsInf(b.bound, 1) {
			break
		}
		if b.upTo >= want {
			return low + (b.bound-low)*(want-before)/max(b.upTo-before, 1)
		}
		low, before = b.bound, b.upTo
	}
	return low
}
