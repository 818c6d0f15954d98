package pool

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/phantomdb"
)

// numberOf is what the library takes for a number or a time of a Config, which is not 0.
func numberOf(name string, value any) (int64, error) {
	switch value := value.(type) {
	case int:
		return inRangeOrNone(name, int64(value), math.MaxInt32)
	case int64:
		return inRangeOrNone(name, value, math.MaxInt64)
	case time.Duration:
		number, err := inRangeOrNone(name, int64(value), math.MaxInt64)
		milliseconds := time.Duration(number).Milliseconds()
		// A part of a millisecond counts as one.
		if time.Duration(milliseconds)*time.Millisecond < time.Duration(number) {
			milliseconds++
		}
		return milliseconds, err
	}
	panic(fmt.Sprintf("%s: a Config has no fields of type %T", name, value))
}

// inRangeOrNone gives 0 for None.
func inRangeOrNone(name string, value, most int64) (int64, error) {
	if value == None {
		return 0, nil
	}
	if value < 0 || value > most {
		return 0, outOfRange(name, value)
	}
	return value, nil
}

func outOfRange(name string, value int64) error {
	return invalid(name, fmt.Sprintf("%d is out of range", value))
}

func invalid(name, why string) error {
	return &phantomdb.Error{Code: phantomdb.ErrInvalidArgument, Message: name + ": " + why}
}

func inRange(name string, value int) error {
	if value < 0 || value > math.MaxInt32 {
		return outOfRange(name, int64(value))
	}
	return nil
}

// named calls the option that an error is about as the Config does.
func named(err error) error {
	failure, ok := err.(*phantomdb.Error)
	if !ok {
		return err
	}
	option, why, _ := strings.Cut(failure.Message, ": ")
	if field, found := fieldOf(option); found {
		failure.Message = field.Name + ": " + why
	}
	return failure
}
