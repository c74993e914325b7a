package simulate

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// inBubble runs f in virtual time: the clock stands still while anything runs, and jumps to the
// next timer when all goroutines wait.
//
// The standard library has virtual time for tests alone, so f runs as a part of a test that does
// not exist otherwise. One processor runs it, because the order in which goroutines run at one
// instant would differ otherwise.
func inBubble(f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(new(testing.T), func(*testing.T) { f() })
}
