package bench

import (
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// The probes tell what the machine can do at best, so that a report can be read
// without the machine. They are short, since they run before every measurement.
const (
	probeTime  = 300 * time.Millisecond
	probeBlock = 4 << 10
)

// probeSync measures the latency of appending a block to a file in dir and making
// it durable, in microseconds; 0 if it cannot be done there.
func probeSync(dir string) (p50, p99 float64) {
	f, err := os.CreateTemp(dir, "arion-bench-sync-*")
	if err != nil {
		return 0, 0
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return sampleFor(probeTime, func() error {
		if _, err := f.Write(make([]byte, probeBlock)); err != nil {
			return err
		}
		return syncData(f)
	})
}

// probeLoopback measures the way of a byte to another goroutine's socket and back.
func probeLoopback() float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			_, _ = io.Copy(c, c) // ends with the peer
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0
	}
	defer c.Close()
	b := make([]byte, 1)
	p50, _ := sampleFor(probeTime/3, func() error {
		if _, err := c.Write(b); err != nil {
			return err
		}
		_, err := io.ReadFull(c, b)
		return err
	})
	return p50
}

// sampleFor repeats f and gives percentiles of its time in microseconds.
func sampleFor(length time.Duration, f func() error) (p50, p99 float64) {
	var took []time.Duration
	for end := time.Now().Add(length); time.Now().Before(end); {
		start := time.Now()
		if err := f(); err != nil {
			return 0, 0
		}
		took = append(took, time.Since(start))
	}
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	return us(took[len(took)/2]), us(took[len(took)*99/100])
}
