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
}

// NewMux returns an empty Mux, which answers everything ERR_HANDLER_NOT_FOUND.
func NewMux() *Mux { return &Mux{handlers: map[string]Handler{}} }

// Handle registers the handler of a name. A second one for the same name is a
// programming error and panics.
func (m *Mux) Handle(name string, h Handler) {
	if _, twice := m.handlers[name]; twice || h == nil {
		panic(fmt.Sprintf("rpc: handler of %s is nil or registered twice", name))
	}
	m.handlers[name] = h
}
