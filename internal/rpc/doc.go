// Package rpc is the network side of the servers: a server that speaks the
// Pegasus protocols and HTTP on one port, and a pool of connections for calls
// between servers.
//
// # Server
//
// One goroutine per connection reads frames and runs the handlers inline, so a
// handler must not wait: what takes long goes to a goroutine of its own and
// answers from there. Replies are appended to the connection's output buffer in
// whatever order they come. While the reading goroutine works through the frames
// of one read, replies only gather; it sends them when no complete frame is
// left, so a pipelined burst costs one read and one write. A reply from
// elsewhere starts a writing goroutine, which lives until the buffer is empty.
//
//	read ─► inbuf ─► frame ─► Mux ─► handler ─► Reply ─► out ─► write
//	                   │ copy            │ any goroutine   ▲
//	                   ▼                 └─────────────────┘
//	               pooled buffer, given back after the reply
//
// The first four bytes fix the protocol of a connection for its life. A broken
// frame closes it, since there is no way to find the next one; every close is
// counted by reason.
//
// # Bounds
//
// Everything that grows with what peers do has a limit in options.go. Two
// answers are used. What harms only its own connection is answered by not
// reading on: too many requests in flight, too much output unread. What would
// harm others is answered with ERR_BUSY at once: the bytes of all requests and
// replies held by the process. A frame too large to be trusted closes the
// connection.
//
// # Files
//
//	options.go  limits with their reasons
//	gather.go   requests of one burst that are handled together
//	mux.go      handlers by name, with their metrics
//	server.go   listeners, set of connections, Close
//	conn.go     a connection: protocol, frames, admission, dispatch, end
//	fill.go     reading: memory and time for frames that are on their way
//	writer.go   replies: output buffer, flush, writing goroutine
//	inbuf.go    the input buffer, which grows with bytes received
//	buffer.go   pooled memory of single requests
//	budget.go   bytes held by the process
//	request.go  what a handler sees
//	httpside.go HTTP connections handed to net/http
//	pool.go     calls to other servers: remote.go is one of them, link.go a connection
package rpc
