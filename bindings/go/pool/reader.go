package pool

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
)

// reader reads the numbers of a Config, and keeps the first error.
type reader struct{ err error }

// number gives nil for a default.
func (r *reader) number(name string, value, most int64) *int64 {
	switch {
	case value == 0:
		return nil
	case value == None:
		value = 0
	case value < 0 || value > most:
		if r.err == nil {
			r.err = outOfRange(name, value)
		}
		return nil
	}
	return &value
}

func outOfRange(name string, value int64) error {
	return &phantomdb.Error{
		Code:    phantomdb.ErrInvalidArgument,
		Message: fmt.Sprintf("%s: %d is out of range", name, value),
	}
}

func inRange(name string, value int) error {
	if value < 0 || value > math.MaxInt32 {
		return outOfRange(name, int64(value))
	}
	return nil
}

func (r *reader) count(name string, value int) *uint32 {
	number := r.number(name, int64(value), math.MaxInt32)
	if number == nil {
		return nil
	}
	count := uint32(*number)
	return &count
}

func (r *reader) size(name string, value int64) *uint64 {
	number := r.number(name, value, math.MaxInt64)
	if number == nil {
		return nil
	}
	size := uint64(*number)
	return &size
}

// time gives milliseconds, of which a part counts as one.
func (r *reader) time(name string, value time.Duration) *int64 {
	number := r.number(name, int64(value), math.MaxInt64)
	if number == nil {
		return nil
	}
	milliseconds := value.Milliseconds()
	if *number > 0 && time.Duration(milliseconds)*time.Millisecond < value {
		milliseconds++
	}
	if *number == 0 {
		milliseconds = 0
	}
	return &milliseconds
}

func text(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

// named calls the option that an error is about as the Config does.
func named(err error) error {
	failure, ok := err.(*phantomdb.Error)
	if !ok {
		return err
	}
	option, why, found := strings.Cut(failure.Message, ": ")
	if !found {
		return err
	}
	var field strings.Builder
	for _, word := range strings.Split(option, "_") {
		switch {
		case word == "url", word == "tls", word == "ca":
			field.WriteString(strings.ToUpper(word))
		case word != "":
			field.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	failure.Message = field.String() + ": " + why
	return failure
}
