package raft

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

func paced(source string, messages ...*raftpb.Message) raftpb.MessageBatch {
	b := raftpb.MessageBatch{SourceAddress: source, BinVer: raftio.TransportBinVersion, DeploymentId: 7}
	for _, m := range messages {
		b.Requests = append(b.Requests, *m)
	}
	return b
}

func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type handed struct {
			raftpb.MessageBatch
			when time.Duration
		}
		got := make(chan handed, 8)
		learned := map[uint64]string{}
		began := time.Now()
		p := &pacer{
			tick: 100 * time.Millisecond,
			handle: func(b raftpb.MessageBatch) {
				b.Requests = append([]raftpb.Message(nil), b.Requests...) // its memory is used again
				got <- handed{b, time.Since(began)}
			},
			learn: func(_, replicaID uint64, target string) { learned[replicaID] = target },
		}
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() { p.run(stop); close(done) }()

		beat := message(raftpb.Heartbeat, 1, 2, 3)
		answer := message(raftpb.HeartbeatResp, 3, 2, 3)
		read := hinted(message(raftpb.Heartbeat, 1, 2, 3), 5)
		entry := message(raftpb.Replicate, 1, 2, 3)
		now := p.hold(paced("a", beat, read, entry))
		require.Equal(t, []raftpb.Message{*read, *entry}, now.Requests, "nobody waits for the rest")
		require.Equal(t, "a", now.SourceAddress)
		require.Empty(t, p.hold(paced("b", answer)).Requests)
		require.Empty(t, got)

		time.Sleep(p.tick)
		synctest.Wait()
		require.Len(t, got, 1, "one batch for both senders")
		b := <-got
		require.Equal(t, []raftpb.Message{*beat, *answer}, b.Requests)
		require.Less(t, b.when, p.tick, "before the tick")
		require.Greater(t, b.when, p.tick*9/10)
		require.EqualValues(t, 7, b.DeploymentId)
		require.Empty(t, b.SourceAddress)
		require.Equal(t, map[uint64]string{1: "a", 3: "b"}, learned)

		time.Sleep(10 * p.tick)
		synctest.Wait()
		require.Empty(t, got, "nothing was held")
		for i := range 3 {
			p.hold(paced("a", message(raftpb.Heartbeat, 1, 2, uint64(10+i))))
			time.Sleep(p.tick)
			synctest.Wait()
			require.Len(t, got, 1)
			require.EqualValues(t, 10+i, (<-got).Requests[0].Term)
		}
		close(stop)
		<-done
	})
}

// What does not fit, and what dragonboat will refuse, is not held.
func TestPacerLimits(t *testing.T) {
	p := &pacer{learn: func(uint64, uint64, string) {}}
	beat := message(raftpb.Heartbeat, 1, 2, 3)
	for range paceLimit {
		require.Empty(t, p.hold(paced("a", beat)).Requests)
	}
	require.Len(t, p.hold(paced("a", beat)).Requests, 1)

	p = &pacer{learn: func(uint64, uint64, string) {}}
	strange := paced("a", beat)
	strange.BinVer++
	require.Len(t, p.hold(strange).Requests, 1)
}
