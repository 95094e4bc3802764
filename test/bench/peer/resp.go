package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
)

// resp speaks to Redis.
type resp struct {
	set   bool
	value []byte
	key   []byte
}

func runRESP(o options) (*result, error) {
	value := payload(o.valueSize)
	return runPipelines(o, func() protocol { return &resp{set: o.workload != "get", value: value} })
}

func (r *resp) request(dst []byte, n int) []byte {
	r.key = key(r.key[:0], n)
	if !r.set {
		return bulk(append(dst, "*2\r\n$3\r\nGET\r\n"...), r.key)
	}
	dst = bulk(append(dst, "*3\r\n$3\r\nSET\r\n"...), r.key)
	return bulk(dst, r.value)
}

func bulk(dst, b []byte) []byte {
	dst = strconv.AppendInt(append(dst, '$'), int64(len(b)), 10)
	dst = append(append(dst, "\r\n"...), b...)
	return append(dst, "\r\n"...)
}

func (r *resp) reply(in *bufio.Reader) (bool, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	switch line[0] {
	case '+':
		return true, nil
	case '-':
		return false, nil
	case '$':
		n, err := strconv.Atoi(string(line[1 : len(line)-2]))
		if err != nil || n < 0 {
			return false, err
		}
		_, err = in.Discard(n + 2)
		return true, err
	}
	return false, fmt.Errorf("%q: %w", line, io.ErrUnexpectedEOF)
}
