package rpc

import "fmt"

// Handler serves one request. It runs on the connection's goroutine and must not
// wait for anything: the other requests of the connection wait for it. It, or a
// goroutine it starts, ends the request with exactly one of the Request methods
// Reply, Fail, Ignore and CloseConn.
type Handler func(*Request)

// Mux finds handlers by RPC name. Fill it before Serve; it is only read then.
type Mux struct {
	handlers map[string]Handler
	batched  map[string]BatchHandler
}

// NewMux returns an empty Mux, which answers everything ERR_HANDLER_NOT_FOUND.
func NewMux() *Mux { return &Mux{handlers: map[string]Handler{}, batched: map[string]BatchHandler{}} }

// Handle registers the handler of a name. A second one for the same name is a
// programming error and panics.
func (m *Mux) Handle(name string, h Handler) {
	m.check(name, h == nil)
	m.handlers[name] = h
}

// HandleBatch registers the handler of a name whose requests are cheaper done
// together. Those that arrive in one read of a connection come in one batch.
func (m *Mux) HandleBatch(name string, h BatchHandler) {
	m.check(name, h == nil)
	m.batched[name] = h
}

func (m *Mux) check(name string, missing bool) {
	_, single := m.handlers[name]
	_, batched := m.batched[name]
	if single || batched || missing {
		panic(fmt.Sprintf("rpc: handler of %s is nil or registered twice", name))
	}
}
