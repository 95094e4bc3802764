//go:build linux

package shell_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell"
	"github.com/arionkv/arion/shell/profile"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/test/fakekv"
)

// promptEnv makes the test binary a shell: the tests below run it in a
// pseudo-terminal.
const promptEnv = "ARION_TEST_PROMPT"

func TestMain(m *testing.M) {
	if metas := os.Getenv(promptEnv); metas != "" {
		os.Exit(shell.Run(context.Background(), shell.Options{
			Metas: strings.Split(metas, ","), Table: "temp", Timeout: 3 * time.Second, Format: render.Table, Bytes: render.Quoted,
			Version: "arion test", Profiles: profile.Store{Path: os.Getenv("ARION_PROFILES")},
		}))
	}
	os.Exit(m.Run())
}

// terminal is a shell in a pseudo-terminal, and what it has shown so far.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	exit   chan error

	mu    sync.Mutex
	shown bytes.Buffer
}

func openTerminal(t *testing.T, cluster *fakekv.Cluster) *terminal {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	var number, unlock int32
	ioctl(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	ioctl(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	size := [4]uint16{40, 120}
	ioctl(t, master, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	dir := t.TempDir()
	x := &terminal{t: t, master: master, exit: make(chan error, 1)}
	x.cmd = exec.Command(os.Args[0])
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, slave, slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	x.cmd.Env = append(os.Environ(), promptEnv+"="+strings.Join(cluster.Metas(), ","), "TERM=xterm",
		"ARION_HISTORY="+filepath.Join(dir, "history"), "ARION_PROFILES="+filepath.Join(dir, "profiles"))
	require.NoError(t, x.cmd.Start())
	slave.Close()
	go x.read()
	go func() { x.exit <- x.cmd.Wait() }()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill() // it may be gone
		master.Close()
	})
	x.waits("temp> ")
	return x
}

func ioctl(t *testing.T, f *os.File, request uintptr, arg unsafe.Pointer) {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(arg))
	require.Zero(t, errno)
}

func (x *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		x.shown.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// types sends keys and forgets what was shown before.
func (x *terminal) types(keys string) {
	x.mu.Lock()
	x.shown.Reset()
	x.mu.Unlock()
	_, err := x.master.WriteString(keys)
	require.NoError(x.t, err)
}

// waits for text on the screen.
func (x *terminal) waits(text string) {
	x.t.Helper()
	require.Eventually(x.t, func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return strings.Contains(x.shown.String(), text)
	}, 15*time.Second, 5*time.Millisecond, "no %q in %q", text, &x.shown)
}

// line sends a line and waits for text and the next prompt.
func (x *terminal) line(line, text string) {
	x.t.Helper()
	x.types(line + "\r")
	x.waits(text)
	x.waits("temp")
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlR = "\x12"
	ctrlU = "\x15"
)

func TestPromptInATerminal(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	cluster.CreateTable("warehouse", 8)
	x := openTerminal(t, cluster)

	x.line("set user1 name Ada", "OK")
	x.line("get user1 name", `"Ada"`)
	x.types("table sh\t")
	x.waits("show ")
	x.types("ware\t")
	x.waits("warehouse ")
	x.types(ctrlU + "envs set defau\t")
	x.waits("default_ttl ")
	x.types(ctrlU + "node drain 127\t")
	x.waits("127.0.0.1:")
	x.types(ctrlU + "full_scan --max_c\t")
	x.waits("--max_count ")
	x.types(ctrlU + "set user1 ")
	x.waits("<sort_key> <value> [ttl_in_seconds]")
	x.types(ctrlU)

	// Quotes and backslashes ask for more.
	x.types("set user1 note \"two\r")
	x.waits("....> ")
	x.line("lines\"", "OK")
	x.line("get user1 note", `"two\nlines"`)
	x.line(`get user1 \q`, "^")
	x.line("gte user1 name", "did you mean: get")
	x.line("use nowhere", "no table \"nowhere\" was there")
	x.line("use temp", "OK")

	// History: search, and lines with a leading blank are not kept.
	x.line(" get user1 secretly", "Not found")
	x.types(ctrlR + "Ad")
	x.waits("set user1 name ")
	x.types("\r")
	x.waits("OK")

	// What is pasted is one line, run when Enter is pressed.
	x.types("\x1b[200~get user1 name\rget user1 note\r\x1b[201~")
	x.waits("⏎")
	x.types("\r")
	x.waits(`"Ada"`)
	x.waits(`"two\nlines"`)

	// Administration needs enable; what destroys asks.
	x.line("drop warehouse", "READ_ONLY")
	x.line("enable", "!")
	x.types("drop warehouse\r")
	x.waits("repeat warehouse to go on: ")
	x.line("warehouse", "succeed")
	x.types("exit\r")
	x.ends(0)
}

// Random bytes as keys and values: what get prints is pasted back as it stands, and
// nothing of it reaches the terminal as a control.
func TestRandomBytesPastedInATerminal(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	x := openTerminal(t, cluster)
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 8 {
		hashKey, value := bytesUpTo(random, 20), bytesUpTo(random, 60)
		cluster.Put("temp", hashKey, []byte("s"), value)
		key, want := string(render.AppendQuoted(nil, hashKey)), string(render.AppendQuoted(nil, value))
		x.types("\x1b[200~get " + key + " s\x1b[201~\r")
		x.waits(want + "\r\n")
		copied := fmt.Sprintf("copy%d", i)
		x.types("\x1b[200~set " + copied + " s " + want + "\x1b[201~\r")
		x.waits("OK")
		got, found := cluster.Value("temp", []byte(copied), []byte("s"))
		require.True(t, found)
		require.Equal(t, value, got)
	}
	x.types("exit\r")
	x.ends(0)
}

func bytesUpTo(random *rand.Rand, most int) []byte {
	b := make([]byte, 1+random.IntN(most))
	for i := range b {
		b[i] = byte(random.UintN(256))
	}
	return b
}

// ends waits for the shell to leave.
func (x *terminal) ends(status int) {
	x.t.Helper()
	select {
	case <-x.exit:
		require.Equal(x.t, status, x.cmd.ProcessState.ExitCode())
	case <-time.After(10 * time.Second):
		x.t.Fatalf("the shell does not end; it shows %q", x.shown.String())
	}
}

// Ctrl-C stops a verb, a second one leaves; at an empty line two leave.
func TestInterruptsInATerminal(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	x := openTerminal(t, cluster)
	x.types("watch 100ms get a b\r")
	x.waits("Not found")
	x.types(ctrlC)
	x.waits("temp> ")
	cluster.Script(fakekv.Match{RPC: "GET"}, 0, fakekv.Action{Silence: true})
	x.types("timeout 60000\r")
	x.waits("OK")
	before := cluster.Count("GET")
	x.types("get a b\r")
	require.Eventually(t, func() bool { return cluster.Count("GET") > before }, 10*time.Second, time.Millisecond)
	x.types(ctrlC)
	x.waits("interrupted")
	x.waits("temp> ")
	x.types(ctrlC)
	x.waits("once more to leave")
	x.types(ctrlC)
	x.ends(0)
}

func TestEndOfInputLeaves(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	x := openTerminal(t, cluster)
	x.types(ctrlD)
	x.ends(0)
}

// Without meta servers the prompt says so and nothing hangs.
func TestStalePrompt(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	x := openTerminal(t, cluster)
	x.line("get a b", "Not found")
	cluster.Meta(0).Stop()
	require.Eventually(t, func() bool {
		x.types("\r")
		time.Sleep(200 * time.Millisecond) // a person who presses Enter now and then
		x.mu.Lock()
		defer x.mu.Unlock()
		return strings.Contains(x.shown.String(), "(stale)")
	}, 20*time.Second, 10*time.Millisecond)
	x.types("table list\r")
	x.waits("error:")
	x.types("table show \t") // completion must not hang
	x.types(ctrlU + "exit\r")
	x.ends(0)
}
