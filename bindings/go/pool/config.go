package pool

import (
	"reflect"
	"strings"
	"time"

	"github.com/phantomdb/libphantomdb/bindings/go/internal/cabi"
)

// None, as a number or a time of a [Config], means 0 where 0 means something: no minimum, nobody
// waits, never, not at all. (A 0 itself stands for the default.)
const None = -1

// Config is everything that can be set on a pool. The zero value of a field stands for its default.
// What makes no sense is refused by [New], with an error that begins with the field's name.
type Config struct {
	// BaseURL is http[s]://host[:port][/prefix]. Default "http://localhost:8080".
	BaseURL string
	// Token is the bearer token; none by default. Never shown in any message.
	Token string
	// MinConnections is how many connections the pool keeps, even when nobody uses them. Default 2.
	MinConnections int
	// MaxConnections is never exceeded, as the server counts connections. Default 10; at most 65535.
	MaxConnections int
	// MaxConnecting is how many connections may be opening at once. Default 2.
	MaxConnecting int
	// MaxWaiters is how many callers may wait at once; one more gets ErrOverloaded. Default 10000.
	MaxWaiters int
	// AcquireTimeout is how long Acquire waits, all its steps together; the context may end it
	// earlier. Default 30 s.
	AcquireTimeout time.Duration
	// IdleTimeout is after how long an unused connection above MinConnections closes. Default 60 s.
	IdleTimeout time.Duration
	// MaxLifetime is after how long a connection is retired, less up to a tenth by chance. Default
	// 30 min.
	MaxLifetime time.Duration
	// ValidateAfter is how long a connection may be idle and still be handed out without a check.
	// Default 500 ms.
	ValidateAfter time.Duration
	// Validation is how an idle connection is checked. Default ValidateSocket.
	Validation Validation
	// ValidationTimeout is how long a check by ping may take. Default 1 s.
	ValidationTimeout time.Duration
	// RequestTimeout is how long a request may take, opening the connection included. Default 30 s.
	RequestTimeout time.Duration
	// ConnectTimeout is how long opening a connection may take. Default 5 s.
	ConnectTimeout time.Duration
	// CloseTimeout is how long Close waits for clients that are out, before it cuts them. Default
	// 5 s.
	CloseTimeout time.Duration
	// LeakThreshold is after how long a client that was acquired and not released is reported to
	// Log, and counted. Nothing is taken back. Never by default.
	LeakThreshold time.Duration
	// Preconnect opens MinConnections when the pool is made, instead of each at its first request.
	Preconnect bool
	// TLSCAFile is a PEM file with the certificates that may sign the server's; those of the system
	// by default.
	TLSCAFile string
	// TLSCertFile is a PEM file with the client's certificate; it goes with TLSKeyFile.
	TLSCertFile string
	// TLSKeyFile is a PEM file with the private key of TLSCertFile.
	TLSKeyFile string
	// MaxResponseBytes is how large a response may be. Default 64 MiB.
	MaxResponseBytes int64
	// Log is called with reports of leaked clients and of outages. It runs on
	// a thread of the library, one message at a time, and not after Close has returned. It must not
	// wait for the pool.
	Log func(level LogLevel, message string)
}

// Validation is how an idle connection is checked before it is handed out.
type Validation int32

// The kinds of validation; those of phantomdb.h are one less.
const (
	// ValidateSocket asks the operating system whether the socket is open: no round trip.
	ValidateSocket Validation = cabi.ValidationSocket + 1
	// ValidatePing asks the server: a round trip.
	ValidatePing Validation = cabi.ValidationPing + 1
	// ValidateNone does not check.
	ValidateNone Validation = cabi.ValidationNone + 1
)

// LogLevel is how much a message matters.
type LogLevel int

// The levels.
const (
	LogInfo    LogLevel = cabi.LogInfo
	LogWarning LogLevel = cabi.LogWarning
)

// String is "info" or "warning".
func (l LogLevel) String() string {
	if l == LogWarning {
		return "warning"
	}
	return "info"
}

// options are those that are set, by the names that the library's table has for them.
func (c *Config) options() (*cabi.Options, error) {
	options := &cabi.Options{}
	names := map[string]string{}
	for _, option := range cabi.OptionTable() {
		if field, found := fieldOf(option.Name); found {
			names[field.Name] = option.Name
		}
	}
	config := reflect.ValueOf(c).Elem()
	for index := 0; index < config.NumField(); index++ {
		field := config.Type().Field(index).Name
		if config.Field(index).IsZero() {
			continue
		}
		option, found := names[field]
		if !found {
			return nil, invalid(field, "this libphantomdb does not know the option; link a newer one")
		}
		switch value := config.Field(index).Interface().(type) {
		case string:
			options.SetText(option, value)
		case bool:
			options.SetNumber(option, 1)
		case Validation:
			options.SetNumber(option, int64(value)-1)
		case func(level LogLevel, message string):
			options.Log = func(level int, message string) { value(LogLevel(level), message) }
		default:
			number, err := numberOf(field, value)
			if err != nil {
				return nil, err
			}
			options.SetNumber(option, number)
		}
	}
	return options, nil
}

// fieldOf finds the field for an option of the library: BaseURL is base_url.
func fieldOf(option string) (reflect.StructField, bool) {
	name := strings.ReplaceAll(option, "_", "")
	return reflect.TypeOf(Config{}).FieldByNameFunc(func(field string) bool {
		return strings.EqualFold(field, name)
	})
}
