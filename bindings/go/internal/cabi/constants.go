package cabi

/*
#include "bridge.h"
*/
import "C"

// The codes, as in phantomdb.h.
const (
	InvalidArgument = C.PHANTOMDB_ERR_INVALID_ARGUMENT
	InvalidHandle   = C.PHANTOMDB_ERR_INVALID_HANDLE
	Closed          = C.PHANTOMDB_ERR_CLOSED
	Timeout         = C.PHANTOMDB_ERR_TIMEOUT
	WouldBlock      = C.PHANTOMDB_ERR_WOULD_BLOCK
	Overloaded      = C.PHANTOMDB_ERR_OVERLOADED
	Unavailable     = C.PHANTOMDB_ERR_UNAVAILABLE
	Cancelled       = C.PHANTOMDB_ERR_CANCELLED
	Busy            = C.PHANTOMDB_ERR_BUSY
	WouldDeadlock   = C.PHANTOMDB_ERR_WOULD_DEADLOCK
	InvalidState    = C.PHANTOMDB_ERR_INVALID_STATE
	HTTP            = C.PHANTOMDB_ERR_HTTP
	Unauthorized    = C.PHANTOMDB_ERR_UNAUTHORIZED
	Protocol        = C.PHANTOMDB_ERR_PROTOCOL
	ConnectionLost  = C.PHANTOMDB_ERR_CONNECTION_LOST
	TooLarge        = C.PHANTOMDB_ERR_TOO_LARGE
	TLS             = C.PHANTOMDB_ERR_TLS
	Type            = C.PHANTOMDB_ERR_TYPE
	Panic           = C.PHANTOMDB_ERR_PANIC
	OutOfMemory     = C.PHANTOMDB_ERR_OUT_OF_MEMORY
)

// The operations, as in phantomdb.h.
const (
	HealthCheck         Operation = C.PHANTOMDB_HEALTH_CHECK
	ListDatabases       Operation = C.PHANTOMDB_LIST_DATABASES
	CreateDatabase      Operation = C.PHANTOMDB_CREATE_DATABASE
	DropDatabase        Operation = C.PHANTOMDB_DROP_DATABASE
	ListTables          Operation = C.PHANTOMDB_LIST_TABLES
	CreateTable         Operation = C.PHANTOMDB_CREATE_TABLE
	DropTable           Operation = C.PHANTOMDB_DROP_TABLE
	Insert              Operation = C.PHANTOMDB_INSERT
	Select              Operation = C.PHANTOMDB_SELECT
	Update              Operation = C.PHANTOMDB_UPDATE
	Delete              Operation = C.PHANTOMDB_DELETE
	ExecuteQuery        Operation = C.PHANTOMDB_EXECUTE_QUERY
	BeginTransaction    Operation = C.PHANTOMDB_BEGIN_TRANSACTION
	CommitTransaction   Operation = C.PHANTOMDB_COMMIT_TRANSACTION
	RollbackTransaction Operation = C.PHANTOMDB_ROLLBACK_TRANSACTION
)

// The kinds of validation, as in phantomdb.h.
const (
	ValidationSocket = C.PHANTOMDB_VALIDATION_SOCKET
	ValidationPing   = C.PHANTOMDB_VALIDATION_PING
	ValidationNone   = C.PHANTOMDB_VALIDATION_NONE
)

// The types of options, as in phantomdb.h.
const (
	OptionCount  = C.PHANTOMDB_OPTION_COUNT
	OptionSize   = C.PHANTOMDB_OPTION_SIZE
	OptionTime   = C.PHANTOMDB_OPTION_TIME
	OptionFlag   = C.PHANTOMDB_OPTION_FLAG
	OptionChoice = C.PHANTOMDB_OPTION_CHOICE
	OptionText   = C.PHANTOMDB_OPTION_TEXT
	OptionFile   = C.PHANTOMDB_OPTION_FILE
	OptionLog    = C.PHANTOMDB_OPTION_LOG
)

// The levels of the log, as in phantomdb.h.
const (
	LogInfo    = C.PHANTOMDB_LOG_INFO
	LogWarning = C.PHANTOMDB_LOG_WARNING
)

// The kinds of cells, as in phantomdb.h.
const (
	CellNull   = C.PHANTOMDB_CELL_NULL
	CellBool   = C.PHANTOMDB_CELL_BOOL
	CellNumber = C.PHANTOMDB_CELL_NUMBER
	CellString = C.PHANTOMDB_CELL_STRING
	CellJSON   = C.PHANTOMDB_CELL_JSON
)

// The kinds of values of a table, as in phantomdb.h.
const (
	ValueNull       = C.PHANTOMDB_VALUE_NULL
	ValueBool       = C.PHANTOMDB_VALUE_BOOL
	ValueInteger    = C.PHANTOMDB_VALUE_INTEGER
	ValueBigInteger = C.PHANTOMDB_VALUE_BIG_INTEGER
	ValueDouble     = C.PHANTOMDB_VALUE_DOUBLE
	ValueBigNumber  = C.PHANTOMDB_VALUE_BIG_NUMBER
	ValueString     = C.PHANTOMDB_VALUE_STRING
	ValueJSON       = C.PHANTOMDB_VALUE_JSON
)

// What else is known of a value, as in phantomdb.h.
const (
	hasInteger = C.PHANTOMDB_VALUE_HAS_INTEGER
	hasDouble  = C.PHANTOMDB_VALUE_HAS_DOUBLE
	isReplaced = C.PHANTOMDB_VALUE_REPLACED
)

// PoolTimeout, in the place of a time, is the pool's own.
const PoolTimeout = C.PHANTOMDB_POOL_TIMEOUT
