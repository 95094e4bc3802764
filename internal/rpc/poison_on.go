//go:build invariants

package rpc

func poison(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
