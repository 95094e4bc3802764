// Package client is the Go client of Arion, asynchronous at heart.
//
//	c, err := client.Open(ctx, []string{"127.0.0.1:34601"})
//	defer c.Close()
//	t := c.Table("temp")
//	err = t.Set(ctx, hashKey, sortKey, value)
//	v, err := t.Get(ctx, hashKey, sortKey)      // errors.Is(err, client.ErrNotFound)
//	d := t.GetAsync(ctx, hashKey, sortKey)      // *client.Deferred[[]byte]
//
// A record is addressed by a hash key, which chooses the partition, and a sort
// key, which orders the records of one hash key. What is done under one hash key
// in one call is atomic.
//
// Calls that fail in ways that pass (a leader moves, a server is busy, a
// connection breaks) are repeated within their deadline. A call that may have
// taken effect and must not be applied twice (Incr, CheckAndSet, CheckAndMutate,
// CompareExchange) is never repeated: IsUnknownOutcome is true of its error.
//
// docs/client.md tells the whole story; DESIGN.md beside this file how it works.
// Tests of programs that use this package find a fake cluster in test/fakekv.
package client
