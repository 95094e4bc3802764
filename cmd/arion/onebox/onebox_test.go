package onebox

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/config"
)

// startLimit is generous: the race detector and a busy machine slow elections
// down, and no test decides by it.
const startLimit = 2 * time.Minute

// running is a onebox under test.
type running struct {
	metas string
	stop  context.CancelFunc
	done  chan error
}

func run(t *testing.T, o *Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan error, 1)}
	out, in := io.Pipe()
	log := logrus.New()
	log.SetOutput(io.Discard)
	go func() {
		err := Run(ctx, o, config.Default(), log, in)
		in.CloseWithError(io.EOF)
		r.done <- err
	}()
	timer := time.AfterFunc(startLimit, func() { in.CloseWithError(context.DeadlineExceeded) })
	defer timer.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("no READY line: %v; onebox: %v", err, <-r.done)
	}
	metas, ok := strings.CutPrefix(strings.TrimSpace(line), "READY ")
	require.True(t, ok, line)
	r.metas = metas
	return r
}

func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		require.NoError(t, err)
	case <-time.After(startLimit):
		t.Fatal("the onebox does not stop")
	}
}

func (r *running) table(t *testing.T, name string) *client.Table {
	t.Helper()
	c, err := client.Open(context.Background(), strings.Split(r.metas, ","))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.Table(name)
}

func TestDataSurvivesARestart(t *testing.T) {
	ctx := context.Background()
	o := onFreePorts(t, &Options{
		Dir: t.TempDir(), Metas: 1, Replicas: 3,
		Tables: []Table{{Name: "temp", Partitions: 4}, {Name: "single", Partitions: 2, Replicas: 1}},
	})
	first := run(t, o)
	for _, name := range []string{"temp", "single"} {
		require.NoError(t, first.table(t, name).Set(ctx, []byte("h"), []byte("s"), []byte(name)))
	}
	first.end(t)

	second := run(t, o)
	for _, name := range []string{"temp", "single"} {
		value, err := second.table(t, name).Get(ctx, []byte("h"), []byte("s"))
		require.NoError(t, err)
		require.Equal(t, name, string(value))
	}
	second.end(t)

	other := *o
	other.Tables = []Table{{Name: "temp", Partitions: 8}}
	err := Run(ctx, &other, config.Default(), quiet(), io.Discard)
	require.ErrorContains(t, err, "table temp: exists with 4 partitions")
}

func TestStopWhileStarting(t *testing.T) {
	o := onFreePorts(t, &Options{Dir: t.TempDir(), Metas: 1, Replicas: 1})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, Run(ctx, o, config.Default(), quiet(), io.Discard))
}

func quiet() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// onFreePorts gives the options ports that are free, with all that derive from
// them.
func onFreePorts(t *testing.T, o *Options) *Options {
	t.Helper()
	for range 100 {
		o.MetaPort, o.ReplicaPort = freePort(t), freePort(t)
		if o.Validate() == nil && o.checkPorts() == nil {
			return o
		}
	}
	t.Fatal("no free ports")
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
