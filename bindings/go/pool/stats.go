package pool

// Stats is what a pool has done so far.
type Stats struct {
	// Acquires counts them by what they came to; each is exactly one.
	Acquires struct {
		Direct   int64 `json:"direct"`
		Waited   int64 `json:"waited"`
		TimedOut int64 `json:"timed_out"`
		// Cancelled ones ended with their contexts.
		Cancelled int64 `json:"cancelled"`
		// Rejected ones were too many, or found the pool closed.
		Rejected int64 `json:"rejected"`
		Failed   int64 `json:"failed"`
	} `json:"acquires"`
	// Wait is how long acquires took.
	Wait Histogram `json:"wait"`
	// Use is how long clients were out.
	Use Histogram `json:"use"`
	// Created counts the connections that were opened.
	Created int64 `json:"created"`
	// DialFailures counts those that could not be.
	DialFailures int64 `json:"dial_failures"`
	// Closed counts the connections that were closed, by reason.
	Closed struct {
		Idle      int64 `json:"idle"`
		Lifetime  int64 `json:"lifetime"`
		Dead      int64 `json:"dead"`
		Broken    int64 `json:"broken"`
		Discarded int64 `json:"discarded"`
		Reset     int64 `json:"reset"`
		Resized   int64 `json:"resized"`
		Closed    int64 `json:"closed"`
	} `json:"closed"`
	// Leaked counts the clients that were out longer than LeakThreshold.
	Leaked int64 `json:"leaked"`
	// OldestWaiterSeconds is how long the caller has waited that waits longest; 0 if nobody waits.
	OldestWaiterSeconds float64 `json:"oldest_waiter_seconds"`
}

// Histogram is how long something took, how often.
type Histogram struct {
	// Count is how often.
	Count int64 `json:"count"`
	// SumSeconds is how long, all together.
	SumSeconds float64 `json:"sum_seconds"`
	// Buckets are in the order of their bounds; each counts what the ones before it do, too.
	Buckets []Bucket `json:"buckets"`
}

// Bucket counts what took at most AtMost seconds.
type Bucket struct {
	// AtMost is the bound, in seconds.
	AtMost float64 `json:"le"`
	// Count is how many.
	Count int64 `json:"count"`
}
