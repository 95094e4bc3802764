// Package rig starts servers for measurements, each a process of its own, drives
// loads at them and says what memory and disk they took.
package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Processes are servers that were started here, and are ended by Stop.
type Processes struct {
	Dir     string // for their logs
	started []*Process
}

// Process is one server.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Launch starts a server whose output goes to NAME.log. env is added to ours.
func (p *Processes) Launch(name string, env []string, binary string, args ...string) (*Process, error) {
	s := &Process{name: name, log: filepath.Join(p.Dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Env = log, log, append(os.Environ(), env...)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // how it ended is in the log, and Await tells that it did
	}()
	p.started = append(p.started, s)
	return s, nil
}

// PID is the process's number.
func (s *Process) PID() int { return s.cmd.Process.Pid }

const startTimeout = time.Minute

// AwaitText waits until the server has printed text.
func (s *Process) AwaitText(text string) error {
	return s.await(func() bool {
		b, err := os.ReadFile(s.log)
		return err == nil && bytes.Contains(b, []byte(text))
	})
}

func (s *Process) await(ready func() bool) error {
	const every = 50 * time.Millisecond
	timeout := time.After(startTimeout)
	for !ready() {
		select {
		case <-s.done:
			return fmt.Errorf("%s ended while starting: %s", s.name, s.lastWords())
		case <-timeout:
			return fmt.Errorf("%s is not ready after %s: %s", s.name, startTimeout, s.lastWords())
		case <-time.After(every):
		}
	}
	return nil
}

// lastWords is the end of the log.
func (s *Process) lastWords() string {
	const most = 500
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}

// Running says whether the process has not ended.
func (s *Process) Running() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// Stop ends all.
func (p *Processes) Stop() {
	const patience = 20 * time.Second
	for _, s := range p.started {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	for _, s := range p.started {
		select {
		case <-s.done:
		case <-time.After(patience):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	p.started = nil
}
