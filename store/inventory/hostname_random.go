package inventory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"

	"github.com/gomaas/maas/store"
)

// The words of made-up host names: short, easy to say, hard to confuse.
var (
	adjectives = [...]string{
		"able", "alert", "amber", "apt", "azure", "bold", "brave", "brief", "bright", "brisk", "calm", "clean", "clear", "clever", "cool", "coral",
		"cosy", "crisp", "daring", "deep", "eager", "early", "easy", "fair", "fast", "fine", "firm", "fit", "fond", "fresh", "glad", "golden",
		"good", "grand", "great", "happy", "hardy", "humble", "ideal", "jolly", "keen", "kind", "light", "lively", "loyal", "lucky", "merry", "mild",
		"modest", "neat", "nimble", "noble", "open", "polite", "proud", "quick", "quiet", "rapid", "ready", "robust", "sharp", "smart", "solid", "steady",
		"still", "sunny", "sure", "swift", "tidy", "top", "true", "vivid", "warm", "wise", "witty", "young",
	}
	animals = [...]string{
		"ant", "badger", "bat", "bear", "beaver", "bee", "bison", "boar", "camel", "carp", "cat", "cod", "cow", "crab", "crane", "crow",
		"deer", "dog", "dove", "duck", "eagle", "eel", "elk", "emu", "falcon", "finch", "fox", "frog", "gecko", "goat", "goose", "gull",
		"hare", "hawk", "hen", "heron", "horse", "ibex", "jay", "koala", "lark", "lion", "llama", "lynx", "magpie", "mole", "moose", "moth",
		"mouse", "mule", "newt", "orca", "osprey", "otter", "owl", "ox", "panda", "parrot", "pike", "puma", "quail", "rabbit", "raven", "robin",
		"salmon", "seal", "shark", "sheep", "shrew", "skunk", "snail", "stork", "swan", "tern", "tiger", "toad", "trout", "viper", "whale", "wolf",
		"wren", "yak", "zebra",
	}
)

// idLetters leaves out what is easily misread or could spell words.
const idLetters = "34678abcdefghkmnpqrstwxy"

func pick(n int) int {
	k, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return int(k.Int64())
}

// freeName makes up a host name that is free in a domain.
func freeName(ctx context.Context, tx *store.Tx, domain int64) (string, error) {
	for attempt := range 100 {
		name := adjectives[pick(len(adjectives))] + "-" + animals[pick(len(animals))]
		if attempt >= 10 { // many machines have such names
			name = fmt.Sprintf("%s-%d", name, pick(10000))
		}
		var n int
		if err := tx.Get(ctx, "SELECT COUNT(*) FROM node WHERE hostname = ? AND domain_id = ?", []any{name, domain}, &n); err != nil {
			return "", err
		}
		if n == 0 {
			return name, nil
		}
	}
	return "", errors.New("inventory: no free name was found; give the machine a hostname")
}

// freeSystemID makes up the fixed name of a node.
func freeSystemID(ctx context.Context, tx *store.Tx) (string, error) {
	for range 100 {
		id := make([]byte, 6)
		for i := range id {
			id[i] = idLetters[pick(len(idLetters))]
		}
		var n int
		if err := tx.Get(ctx, "SELECT COUNT(*) FROM node WHERE system_id = ?", []any{string(id)}, &n); err != nil {
			return "", err
		}
		if n == 0 {
			return string(id), nil
		}
	}
	return "", errors.New("inventory: no free system ID was found")
}
