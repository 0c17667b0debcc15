package replicate

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
)

// Cut tells the relay to cut, and returns what came of it. It waits for the answer until the context ends.
func (m *Move) Cut(ctx context.Context) int32 {
	to := m.to()
	defer func() { _ = to.Close() }()
	if over, err := marked(ctx, to, m.over()); err != nil || over {
		if err != nil {
			return targetFault(err)
		}
		return outcome.Done
	}
	subscription := to.Subscribe(ctx, m.channel())
	defer func() { _ = subscription.Close() }()
	if _, err := subscription.Receive(ctx); err != nil {
		return targetFault(err)
	}
	nonce := rand.Text()
	heard, err := to.Publish(ctx, m.channel(), "cut "+nonce).Result()
	if err != nil {
		return targetFault(err)
	}
	if heard < 2 {
		return outcome.RelayAbsent // only this Job itself has heard it
	}
	for {
		select {
		case <-ctx.Done():
			return outcome.RelayAbsent
		case message, ok := <-subscription.Channel():
			if !ok {
				return outcome.TargetUnreachable
			}
			answer, mine := strings.CutPrefix(message.Payload, fmt.Sprintf("done %s ", nonce))
			if !mine {
				continue
			}
			code, err := strconv.ParseInt(answer, 10, 32)
			if err != nil {
				return outcome.RelayAbsent
			}
			return int32(code)
		}
	}
}
