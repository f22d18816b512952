package latchkey

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstPause    = 100 * time.Millisecond
	longestPause  = 2 * time.Second
	maxRetryAfter = 5 * time.Second // what asks for more is left to the caller
)

// failedHere reports whether another attempt may succeed where this one failed:
// the server did not answer, or could not do its work just now.
func failedHere(a *answer, err error) bool {
	if err == nil {
		return false
	}
	if a != nil {
		switch a.resp.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*TransportError](err); ok {
		return !distrusted(err)
	}
	_, cutOff := errors.AsType[*UnreadableError](err)
	return cutOff && !errors.Is(err, ErrTooLong)
}

// wait lets the time before a repetition pass. It returns what to give up with:
// the failure itself if the wait would be too long, an InterruptedError if the
// context ends first.
func (c *Client) wait(ctx context.Context, r request, repetition int, a *answer, failure error) error {
	pause := c.pause(repetition)
	if pause == 0 {
		return nil
	}
	if a != nil {
		asked := retryAfter(a.resp.Header, time.Now())
		if asked > maxRetryAfter {
			return failure
		}
		pause = max(pause, asked)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
		return failure // nothing would be tried any more
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		e := interrupted(ctx, r, ctx.Err())
		e.Last = failure
		return e
	}
}

// pause is 0 while there are addresses that this call has not tried. Then it
// doubles with each round, less a random part, so that clients do not come back together.
func (c *Client) pause(repetition int) time.Duration {
	n := len(c.servers.addresses)
	if repetition%n != 0 {
		return 0
	}
	full := longestPause
	if round := repetition/n - 1; round < 5 {
		full = min(full, firstPause<<round)
	}
	return full - rand.N(full/2)
}

// retryAfter reads the header, which holds seconds or a date; 0 if it holds neither.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
