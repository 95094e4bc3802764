package bench

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// chooser picks records. It is safe for concurrent use with an rng each.
type chooser struct {
	distribution string
	total        *atomic.Int64 // records there are; inserts add to it
	zipf         zipf          // over the records at the start
}

func newChooser(distribution string, total *atomic.Int64) *chooser {
	c := &chooser{distribution: distribution, total: total}
	if distribution == Zipfian || distribution == Latest {
		c.zipf = newZipf(total.Load(), zipfSkew)
	}
	return c
}

func (c *chooser) pick(rng *rand.Rand) int64 {
	switch c.distribution {
	case Zipfian:
		// The popular records are spread over the key space, and so over partitions.
		return int64(scatter(uint64(c.zipf.rank(rng))) % uint64(c.zipf.n))
	case Latest:
		total := c.total.Load()
		return max(0, total-1-c.zipf.rank(rng))
	}
	return rng.Int64N(c.total.Load())
}

// zipfSkew is YCSB's.
const zipfSkew = 0.99

// zipf draws ranks 0 ≤ k < n with probability proportional to 1/(k+1)^skew, by
// the method of Gray and others, "Quickly generating billion-record synthetic
// databases", 1994.
type zipf struct {
	n                 int64
	skew, alpha, eta  float64
	zeta, secondBound float64
}

func newZipf(n int64, skew float64) zipf {
	z := zipf{n: n, skew: skew, alpha: 1 / (1 - skew), zeta: zeta(n, skew)}
	z.secondBound = 1 + math.Pow(0.5, skew)
	z.eta = (1 - math.Pow(2/float64(n), 1-skew)) / (1 - zeta(2, skew)/z.zeta)
	return z
}

func (z *zipf) rank(rng *rand.Rand) int64 {
	u := rng.Float64()
	switch uz := u * z.zeta; {
	case uz < 1:
		return 0
	case uz < z.secondBound:
		return min(1, z.n-1)
	}
	return min(z.n-1, int64(float64(z.n)*math.Pow(z.eta*u-z.eta+1, z.alpha)))
}

// zeta is the sum of 1/k^skew for 1 ≤ k ≤ n. Beyond the first terms the sum is
// taken as an integral: for ten million records that is exact to nine digits, and
// takes no time.
func zeta(n int64, skew float64) float64 {
	const exact = 10_000
	sum := 0.0
	for k := int64(1); k <= min(n, exact); k++ {
		sum += math.Pow(float64(k), -skew)
	}
	if n > exact {
		sum += (math.Pow(float64(n)+0.5, 1-skew) - math.Pow(exact+0.5, 1-skew)) / (1 - skew)
	}
	return sum
}

// scatter is a bijection without visible pattern (the finalizer of splitmix64).
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
