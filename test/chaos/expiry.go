package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/arionkv/arion/client"
)

// Churn writes records that live for seconds, and writes to them what depends on
// whether they are still there. Nobody judges the answers: the replicas must
// agree, whenever each of them applied a write.
func Churn(ctx context.Context, seed uint64, table *client.Table, workers int) {
	var wg sync.WaitGroup
	for i := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for ctx.Err() == nil {
				churn(r, table)
				time.Sleep(rest)
			}
		}()
	}
	wg.Wait()
}

// shortLife is the unit of expiry: shorter than faults, so that records expire
// while replicas are behind.
const shortLife = time.Second

func churn(r *rand.Rand, table *client.Table) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	hash, life := fmt.Appendf(nil, "e%d", r.IntN(40)), shortLife*time.Duration(r.IntN(3)+1)
	switch r.IntN(4) {
	case 0:
		_, _ = table.IncrTTL(ctx, hash, []byte("n"), 1, life)
	case 1:
		_, _ = table.Incr(ctx, hash, []byte("n"), 1)
	case 2:
		_, _ = table.CheckAndSet(ctx, hash, client.Check{SortKey: []byte("s"), Type: client.ValueNotExist},
			client.Put{SortKey: []byte("s"), Value: fmt.Append(nil, r.Uint64()), TTL: life})
	default:
		_, _ = table.CheckAndMutate(ctx, hash, client.Check{SortKey: []byte("s"), Type: client.ValueExist},
			[]client.Mutation{client.PutMutation([]byte("m"), fmt.Append(nil, r.Uint64()), 0), client.DeleteMutation([]byte("n"))})
	}
}
