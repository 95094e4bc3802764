package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Words of other stores are advice only: none hides a verb, and each leads to one.
func TestWordsOfOtherStoresLeadToVerbs(t *testing.T) {
	for word, advice := range elsewhere {
		v, _ := find([]string{word})
		require.Nil(t, v, "%s is a verb", word)
		v, _ = find(strings.Fields(strings.ReplaceAll(advice, ",", "")))
		require.NotNil(t, v, "%s leads to %s", word, advice)
	}
	require.Equal(t, "here it is import", suggestion([]string{"LOAD", "x.csv"}))
}
