package rowcache

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/arionkv/arion/replica/engine"
)

// Base opens the engines, and is closed after them.
type Base interface {
	engine.Opener
	SharedBytes() (blockCache, memtables uint64)
	Close() error
}

// Opener opens engines that share one cache.
type Opener struct {
	base  Base
	cache *cache
}

var _ engine.Opener = (*Opener)(nil)

// NewOpener puts a cache of so many bytes in front of what base opens, and takes
// over base.
func NewOpener(base Base, bytes int64) (*Opener, error) {
	c, err := newCache(bytes)
	if err != nil {
		return nil, err
	}
	return &Opener{base, c}, nil
}

// Open implements engine.Opener.
func (o *Opener) Open(dir string, options engine.Options) (engine.Engine, error) {
	base, err := o.base.Open(dir, options)
	if err != nil {
		return nil, err
	}
	e := &cached{Engine: base, cache: o.cache}
	e.newID()
	return e, nil
}

// SharedBytes is that of the base, whose block cache counts this one in.
func (o *Opener) SharedBytes() (blockCache, memtables uint64) {
	blockCache, memtables = o.base.SharedBytes()
	return blockCache + o.cache.stats().Bytes, memtables
}

// Stats tells how the cache does.
func (o *Opener) Stats() Stats { return o.cache.stats() }

// Close closes the base, which fails while engines are open, and frees the cache.
func (o *Opener) Close() error {
	if err := o.base.Close(); err != nil {
		return err
	}
	return o.cache.close()
}

var (
	hitsDesc    = prometheus.NewDesc("arion_row_cache_hits_total", "Reads answered by the row cache.", nil, nil)
	missesDesc  = prometheus.NewDesc("arion_row_cache_misses_total", "Reads that the row cache left to the engine.", nil, nil)
	recordsDesc = prometheus.NewDesc("arion_row_cache_records", "Records in the row cache.", nil, nil)
	bytesDesc   = prometheus.NewDesc("arion_row_cache_bytes", "Memory of the row cache in use.", nil, nil)
)

// Describe implements prometheus.Collector.
func (o *Opener) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{hitsDesc, missesDesc, recordsDesc, bytesDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (o *Opener) Collect(ch chan<- prometheus.Metric) {
	s := o.Stats()
	ch <- prometheus.MustNewConstMetric(hitsDesc, prometheus.CounterValue, float64(s.Hits))
	ch <- prometheus.MustNewConstMetric(missesDesc, prometheus.CounterValue, float64(s.Misses))
	ch <- prometheus.MustNewConstMetric(recordsDesc, prometheus.GaugeValue, float64(s.Records))
	ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(s.Bytes))
}
