package onebox

import (
	"errors"
	"fmt"
	"net"
)

// checkPorts tries every port before anything is started, so that the message
// names the port and the server instead of coming out of a library.
func (o *Options) checkPorts() error {
	var taken []error
	for _, n := range o.nodes() {
		for _, p := range n.ports() {
			l, err := net.Listen("tcp", p.addr)
			if err != nil {
				taken = append(taken, fmt.Errorf("%s, the %s port of %s, cannot be used: %w", p.addr, p.use, n.name, err))
				continue
			}
			l.Close()
		}
	}
	if more := len(taken) - maxNamed; more > 0 {
		taken = append(taken[:maxNamed], fmt.Errorf("and %d more ports", more))
	}
	return errors.Join(taken...)
}

// maxNamed keeps the message readable when another onebox has all the ports.
const maxNamed = 3
