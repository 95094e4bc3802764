package fakekv

import (
	"bufio"
	"net/http"
	"net/http/httptest"
)

// ServeHTTP makes the nodes answer HTTP on their port, as servers do for /metrics;
// without it they close such connections. It is to be called before the first
// request.
func (c *Cluster) ServeHTTP(f func(n *Node, w http.ResponseWriter, r *http.Request)) {
	c.mu.Lock()
	c.http = f
	c.mu.Unlock()
}

// web answers one request; nobody needs a second one on the connection.
func (c *conn) web(in *bufio.Reader) {
	c.n.c.mu.Lock()
	f := c.n.c.http
	c.n.c.mu.Unlock()
	r, err := http.ReadRequest(in)
	if err != nil || f == nil {
		return
	}
	c.n.wait()
	w := httptest.NewRecorder()
	f(c.n, w, r)
	answer := w.Result()
	answer.ContentLength, answer.Close = int64(w.Body.Len()), true
	_ = answer.Write(c.nc) // whoever asked may be gone
}
