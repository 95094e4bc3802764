package apply

import (
	"bytes"
	"cmp"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/rrdb"
)

// checkPasses evaluates a known check type: StatusOK if the check passed,
// StatusTryAgain if not, StatusInvalidArgument for an integer check of text.
// value is nil or empty if the record does not exist.
func checkPasses(t rrdb.CasCheckType, value []byte, exist bool, operand []byte) code.Status {
	switch t {
	case rrdb.CasCheckType_CT_NO_CHECK:
		return code.StatusOK
	case rrdb.CasCheckType_CT_VALUE_NOT_EXIST:
		return passed(!exist)
	case rrdb.CasCheckType_CT_VALUE_NOT_EXIST_OR_EMPTY:
		return passed(!exist || len(value) == 0)
	}
	if !exist { // all further types ask for a record first
		return code.StatusTryAgain
	}
	if t >= rrdb.CasCheckType_CT_VALUE_INT_LESS {
		return compareInts(t, value, operand)
	}
	return passed(compareBytes(t, value, operand))
}

func compareBytes(t rrdb.CasCheckType, value, operand []byte) bool {
	order := bytes.Compare(value, operand)
	switch t {
	case rrdb.CasCheckType_CT_VALUE_EXIST:
		return true
	case rrdb.CasCheckType_CT_VALUE_NOT_EMPTY:
		return len(value) > 0
	case rrdb.CasCheckType_CT_VALUE_MATCH_ANYWHERE:
		return bytes.Contains(value, operand)
	case rrdb.CasCheckType_CT_VALUE_MATCH_PREFIX:
		return bytes.HasPrefix(value, operand)
	case rrdb.CasCheckType_CT_VALUE_MATCH_POSTFIX:
		return bytes.HasSuffix(value, operand)
	case rrdb.CasCheckType_CT_VALUE_BYTES_LESS:
		return order < 0
	case rrdb.CasCheckType_CT_VALUE_BYTES_LESS_OR_EQUAL:
		return order <= 0
	case rrdb.CasCheckType_CT_VALUE_BYTES_EQUAL:
		return order == 0
	case rrdb.CasCheckType_CT_VALUE_BYTES_GREATER_OR_EQUAL:
		return order >= 0
	}
	return order > 0 // CT_VALUE_BYTES_GREATER
}

func compareInts(t rrdb.CasCheckType, value, operand []byte) code.Status {
	v, ok := parseInt(value)
	if !ok {
		return code.StatusInvalidArgument
	}
	w, ok := parseInt(operand)
	if !ok {
		return code.StatusInvalidArgument
	}
	order := cmp.Compare(v, w)
	switch t {
	case rrdb.CasCheckType_CT_VALUE_INT_LESS:
		return passed(order < 0)
	case rrdb.CasCheckType_CT_VALUE_INT_LESS_OR_EQUAL:
		return passed(order <= 0)
	case rrdb.CasCheckType_CT_VALUE_INT_EQUAL:
		return passed(order == 0)
	case rrdb.CasCheckType_CT_VALUE_INT_GREATER_OR_EQUAL:
		return passed(order >= 0)
	}
	return passed(order > 0) // CT_VALUE_INT_GREATER
}

func passed(ok bool) code.Status {
	if ok {
		return code.StatusOK
	}
	return code.StatusTryAgain
}

func validCheckType(t rrdb.CasCheckType) bool {
	return t >= rrdb.CasCheckType_CT_NO_CHECK && t <= rrdb.CasCheckType_CT_VALUE_INT_GREATER
}
