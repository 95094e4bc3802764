package mem_test

import (
	"testing"

	"github.com/arionkv/arion/replica/engine/enginetest"
	"github.com/arionkv/arion/replica/engine/mem"
)

func TestConformance(t *testing.T) { enginetest.Run(t, mem.Opener{}) }
