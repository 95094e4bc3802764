package partition

import (
	"testing"

	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine/mem"
)

// Three replicas share this machine and its disk, so these numbers are for
// comparing changes, not for promises.

func BenchmarkWrite(b *testing.B) {
	for name, inFlight := range map[string]int{"alone": 1, "64 in flight": 64, "1024 in flight": 1024} {
		b.Run(name, func(b *testing.B) {
			c := newCluster(b, mem.Opener{}, 3)
			c.openAll(0)
			c.put(0, "warm", "1")
			_, p := c.leader(0)
			args := putArgs("key", "0123456789012345678901234567890123456789")
			slots := make(chan struct{}, inFlight)
			b.ResetTimer()
			for range b.N {
				slots <- struct{}{}
				p.Write(command.Put, args, func(_ apply.Result, err error) {
					if err != nil {
						b.Error(err)
					}
					<-slots
				})
			}
			for range inFlight {
				slots <- struct{}{}
			}
		})
	}
}

func BenchmarkReadBarrier(b *testing.B) {
	c := newCluster(b, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "warm", "1")
	_, p := c.leader(0)
	_, _ = get(p, "warm")
	done := func(error) {}
	b.ReportAllocs()
	for b.Loop() {
		p.ReadBarrier(done)
	}
}
