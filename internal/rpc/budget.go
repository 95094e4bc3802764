package rpc

import "sync/atomic"

// budget counts the bytes a server holds for requests and replies.
type budget struct {
	limit int64
	used  atomic.Int64
}

// tryAcquire takes n bytes unless the limit would be passed.
func (b *budget) tryAcquire(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

// add accounts for bytes that exist anyway, such as a reply, or gives some back.
func (b *budget) add(n int64) { b.used.Add(n) }
