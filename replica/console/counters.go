package console

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/replica/load"
)

// counter is one figure under its old Pegasus name.
type counter struct {
	Name  string  `json:"name"`
	Type  string  `json:"type"`
	Value float64 `json:"value"`
}

const (
	typeNumber = "NUMBER"
	typeRate   = "RATE"
	megabyte   = 1 << 20
)

// counters is the command perf-counters… with a way to compare names.
func (c *Console) counters(match func(name, text string) bool) func([]string) (string, error) {
	return func(args []string) (string, error) {
		now := c.now()
		reply := struct {
			Result    string    `json:"result"`
			Timestamp int64     `json:"timestamp"`
			Time      string    `json:"timestamp_str"`
			Counters  []counter `json:"counters"`
		}{"OK", now.Unix(), now.Format(time.DateTime), []counter{}}
		for _, x := range c.allCounters(now) {
			if len(args) == 0 || anyMatch(match, x.Name, args) {
				reply.Counters = append(reply.Counters, x)
			}
		}
		text, err := json.Marshal(reply)
		return string(text), err
	}
}

func anyMatch(match func(name, text string) bool, name string, texts []string) bool {
	for _, t := range texts {
		if match(name, t) {
			return true
		}
	}
	return false
}

func (c *Console) allCounters(now time.Time) []counter {
	all := c.nodeCounters()
	replicas, _ := c.replicas(nil)
	for _, r := range replicas {
		all = append(all, replicaCounters(r, now)...)
	}
	return all
}

func (c *Console) nodeCounters() []counter {
	capacity, available := c.o.Host.Disk().Space()
	ratio := 0.0
	if capacity > 0 {
		ratio = float64(100 * available / capacity)
	}
	virtual, resident := processMemory()
	cache, memtables := c.shared()
	const stub, server, app = "replica*eon.replica_stub*", "replica*server*", "replica*app.pegasus*"
	number := func(name string, v float64) counter { return counter{name, typeNumber, v} }
	return []counter{
		number(stub+"disk.capacity.total(MB)", float64(capacity/megabyte)),
		number(stub+"disk.available.total(MB)", float64(available/megabyte)),
		number(stub+"disk.available.total.ratio", ratio),
		number(server+"memused.virt(MB)", float64(virtual/megabyte)),
		number(server+"memused.res(MB)", float64(resident/megabyte)),
		number(app+"rdb.block_cache.memory_usage", float64(cache)),
		number(app+"rdb.write_buffer_manager.memory_usage", float64(memtables)),
	}
}

func (c *Console) shared() (cache, memtables uint64) {
	if c.o.Memory == nil {
		return 0, 0
	}
	return c.o.Memory.SharedBytes()
}

// processMemory reads virtual and resident bytes; zeros where /proc lacks them.
func processMemory() (virtual, resident int64) {
	raw, err := os.ReadFile("/proc/self/statm")
	f := strings.Fields(string(raw))
	if err != nil || len(f) < 2 {
		return 0, 0
	}
	pages := func(text string) int64 {
		n, _ := strconv.ParseInt(text, 10, 64)
		return n * int64(os.Getpagesize())
	}
	return pages(f[0]), pages(f[1])
}

// replicaCounters are those that the tools add up per table and node. scan_qps
// is of both scan operations.
func replicaCounters(r shown, now time.Time) (out []counter) {
	rates := r.Load.Rates(now)
	add := func(metric, kind string, v float64) {
		out = append(out, counter{"replica*app.pegasus*" + metric + "@" + r.name(), kind, v})
	}
	for _, o := range []load.Op{
		load.Get, load.MultiGet, load.BatchGet, load.Put, load.MultiPut, load.Remove, load.MultiRemove,
		load.Incr, load.CheckAndSet, load.CheckAndMutate,
	} {
		add(o.String()+"_qps", typeRate, rates.Requests[o])
		add(o.String()+"_bytes", typeRate, rates.Bytes[o])
	}
	add("scan_qps", typeRate, rates.Requests[load.GetScanner]+rates.Requests[load.Scan])
	add("scan_bytes", typeRate, rates.Bytes[load.GetScanner]+rates.Bytes[load.Scan])
	if eng, err := r.Acquire(); err == nil {
		st := eng.Stats()
		eng.Release()
		add("disk.storage.sst(MB)", typeNumber, float64(st.SizeBytes)/megabyte)
		add("disk.storage.sst.count", typeNumber, float64(st.TableFiles))
		add("rdb.estimate_num_keys", typeNumber, float64(st.EstimatedKeys))
		add("rdb.memtable.memory_usage", typeNumber, float64(st.MemtableBytes))
		add("rdb.index_and_filter_blocks.memory_usage", typeNumber, float64(st.TableReaderBytes))
	}
	return out
}
