package catalog

import (
	"errors"
	"fmt"

	"github.com/arionkv/arion/idl/code"
)

// ErrMalformed marks a command, result or snapshot that this build cannot read: damaged, or of a newer format.
var ErrMalformed = errors.New("catalog: malformed")

// Command is one change of the catalog. The commands of this package are the only ones.
type Command interface {
	kind() kind
	put(*encoder)
	get(*decoder)
	// apply changes s, which is private to this command until it returns, or refuses and has then changed nothing that
	// counts: Apply throws a refused state away.
	apply(s *State) Result
}

// kind is the number of a command in the raft log. Never renumber; a retired one stays as a comment.
type kind uint8

const (
	kindCreateTable    kind = 1
	kindTableReady     kind = 2
	kindAbandonTable   kind = 3
	kindDropTable      kind = 4
	kindRecallTable    kind = 5
	kindRenameTable    kind = 6
	kindPurgeTables    kind = 7
	kindUpdateEnvs     kind = 8
	kindSetLevel       kind = 9
	kindNameCluster    kind = 10
	kindRegisterNode   kind = 11
	kindConfirmLeaders kind = 12
	kindAddReplica     kind = 13
	kindPromoteReplica kind = 14
	kindRemoveReplica  kind = 15
	kindRecordMeta     kind = 16
	kindRetireReplica  kind = 17
	kindSetNodeState   kind = 18
	kindNoteAway       kind = 19
	kindForgetNode     kind = 20
	kindSetOption      kind = 21
	kindSetCount       kind = 22
	kindCountDone      kind = 23
	kindRestoreReplica kind = 24
	kindReform         kind = 25
	kindAddMeta        kind = 26
	kindSetMeta        kind = 27
	kindReformMetas    kind = 28
	kindStartSplit     kind = 40
	kindControlSplit   kind = 41
	kindSettleSplit    kind = 42
	kindCutPartition   kind = 43
	kindRetryCut       kind = 44
	kindSpawnChild     kind = 45
	kindChildReady     kind = 46
)

func newCommand(k kind) Command {
	switch k {
	case kindCreateTable:
		return &CreateTable{}
	case kindTableReady:
		return &TableReady{}
	case kindAbandonTable:
		return &AbandonTable{}
	case kindDropTable:
		return &DropTable{}
	case kindRecallTable:
		return &RecallTable{}
	case kindRenameTable:
		return &RenameTable{}
	case kindPurgeTables:
		return &PurgeTables{}
	case kindUpdateEnvs:
		return &UpdateEnvs{}
	case kindSetLevel:
		return &SetLevel{}
	case kindNameCluster:
		return &NameCluster{}
	case kindRegisterNode:
		return &RegisterNode{}
	case kindConfirmLeaders:
		return &ConfirmLeaders{}
	case kindAddReplica:
		return &AddReplica{}
	case kindPromoteReplica:
		return &PromoteReplica{}
	case kindRemoveReplica:
		return &RemoveReplica{}
	case kindRecordMeta:
		return &RecordMeta{}
	case kindRetireReplica:
		return &RetireReplica{}
	case kindSetNodeState:
		return &SetNodeState{}
	case kindNoteAway:
		return &NoteAway{}
	case kindForgetNode:
		return &ForgetNode{}
	case kindSetOption:
		return &SetOption{}
	case kindSetCount:
		return &SetReplicaCount{}
	case kindCountDone:
		return &ReplicaCountDone{}
	case kindRestoreReplica:
		return &RestoreReplica{}
	case kindReform:
		return &ReformPartition{}
	case kindAddMeta:
		return &AddMeta{}
	case kindSetMeta:
		return &SetMeta{}
	case kindReformMetas:
		return &ReformMetas{}
	case kindStartSplit:
		return &StartSplit{}
	case kindControlSplit:
		return &ControlSplit{}
	case kindSettleSplit:
		return &SettleSplit{}
	case kindCutPartition:
		return &CutPartition{}
	case kindRetryCut:
		return &RetryCut{}
	case kindSpawnChild:
		return &SpawnChild{}
	case kindChildReady:
		return &ChildReady{}
	}
	return nil
}

// commandFormat is the first byte of an encoded command.
const commandFormat = 1

// Encode renders a command for the raft log:
//
//	┌────────┬────────┬────────────────┐
//	│ fmt u8 │ kind u8│ body of kind   │
//	└────────┴────────┴────────────────┘
func Encode(c Command) []byte {
	e := encoder{buf: []byte{commandFormat, byte(c.kind())}}
	c.put(&e)
	return e.buf
}

// Decode reads what Encode wrote. Any other bytes give ErrMalformed.
func Decode(b []byte) (Command, error) {
	if len(b) < 2 || b[0] < commandFormat {
		return nil, fmt.Errorf("%w: not a command of the catalog", ErrMalformed)
	}
	c := newCommand(kind(b[1]))
	if b[0] > commandFormat || c == nil {
		return nil, fmt.Errorf("%w: command of format %d and kind %d, this build knows format %d: start it with the newer release",
			ErrMalformed, b[0], b[1], commandFormat)
	}
	d := newDecoder(b[2:], 0)
	c.get(&d)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("command kind %d: %w", b[1], err)
	}
	return c, nil
}

// Result is what a command answers.
type Result struct {
	Code    code.Code
	TableID int32    // the table concerned, when there is one
	Value   int64    // a number whose meaning the command states
	Hint    string   // a sentence for the operator
	Keys    []string // env keys that were removed
}

func refuse(c code.Code, format string, args ...any) Result {
	return Result{Code: c, Hint: fmt.Sprintf(format, args...)}
}

// EncodeResult renders a result as it travels from the state machine to the proposer within one process.
func EncodeResult(r Result) []byte {
	e := encoder{}
	e.uint(uint64(r.Code))
	e.int(int64(r.TableID))
	e.int(r.Value)
	e.str(r.Hint)
	e.uint(uint64(len(r.Keys)))
	for _, k := range r.Keys {
		e.str(k)
	}
	return e.buf
}

// DecodeResult reads what EncodeResult wrote.
func DecodeResult(b []byte) (Result, error) {
	d := newDecoder(b, 0)
	r := Result{Code: code.Code(d.Uint()), TableID: d.int32(), Value: d.Int(), Hint: d.str()}
	for n := d.Count(1); n > 0; n-- {
		r.Keys = append(r.Keys, d.str())
	}
	return r, d.Finish()
}
