package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
)

// ErrUndecodable marks arguments that are not the thrift struct of their kind.
var ErrUndecodable = errors.New("arguments do not decode")

// Validate looks at a request before it is proposed. It returns a reply for a
// request that apply would refuse whatever the state (error 4, decree -1), so
// that nonsense costs no log entry; nil for one that may be proposed; or an
// error wrapping ErrUndecodable. Proposing only what passed also keeps decoders
// free to become stricter: the log holds nothing they disagree about.
//
// Pegasus logs such requests and answers a decree; no client looks at it.
func (id Identity) Validate(k command.Kind, args []byte) (refusal Result, err error) {
	var valid bool
	switch k {
	case command.Put:
		valid, err = checkPut(args)
	case command.Remove:
		valid, err = checkRemove(args)
	case command.MultiPut:
		valid, err = checkArgs(args, new(rrdb.MultiPutRequest), validMultiPut)
	case command.MultiRemove:
		valid, err = checkArgs(args, new(rrdb.MultiRemoveRequest), validMultiRemove)
	case command.Incr:
		valid, err = checkArgs(args, new(rrdb.IncrRequest), validIncr)
	case command.CheckAndSet:
		valid, err = checkArgs(args, new(rrdb.CheckAndSetRequest), validCheckAndSet)
	case command.CheckAndMutate:
		valid, err = checkArgs(args, new(rrdb.CheckAndMutateRequest), validCheckAndMutate)
	default:
		return nil, fmt.Errorf("%v is not a client's: %w", k, ErrUndecodable)
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w: %w", k, ErrUndecodable, err)
	}
	if !valid {
		return id.refusal(k), nil
	}
	return nil, nil
}

// refusal is the error 4 of a kind, in its own response struct.
func (id Identity) refusal(k command.Kind) Result {
	switch k {
	case command.MultiRemove:
		return id.multiRemoveResponse(code.StatusInvalidArgument, 0, notLogged)
	case command.Incr:
		return id.incrResponse(code.StatusInvalidArgument, 0, notLogged)
	case command.CheckAndSet:
		return id.checkAndSetResponse(refused, notLogged)
	case command.CheckAndMutate:
		return id.checkAndMutateResponse(refused, notLogged)
	}
	return id.updateResponse(code.StatusInvalidArgument, notLogged)
}

func checkPut(args []byte) (bool, error) {
	var r binproto.Reader
	req, err := decodePut(&r, args)
	return wellFormed(req.key), err
}

func checkRemove(args []byte) (bool, error) {
	var r binproto.Reader
	k, err := decodeBlob(&r, args)
	return wellFormed(k), err
}

func validIncr(req *rrdb.IncrRequest) bool { return wellFormed(req.Key.Bytes()) }

func checkArgs[M Result](args []byte, req M, valid func(M) bool) (bool, error) {
	if err := req.Read(context.Background(), binproto.NewReader(args)); err != nil {
		return false, err
	}
	return valid(req), nil
}
