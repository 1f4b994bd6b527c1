package bucket_test

import (
	"testing"
	"time"

	"carrel/shared/bucket"
)

func TestRate_Take(t *testing.T) {
	rate := bucket.Rate{Token: 500 * time.Millisecond, Burst: 3}
	now, full := time.UnixMilli(1_000_000), time.Time{}
	for n := range 3 {
		var after time.Duration
		if full, after = rate.Take(full, now); after != 0 {
			t.Fatalf("token %d of the burst comes after %v", n, after)
		}
	}
	if _, after := rate.Take(full, now); after != 500*time.Millisecond {
		t.Errorf("a token beyond the burst comes after %v, want 500ms", after)
	}
	if _, after := rate.Take(full, now.Add(500*time.Millisecond)); after != 0 {
		t.Errorf("the token that was promised comes after %v more", after)
	}
	if _, after := rate.Take(now.Add(time.Hour), now); after != 500*time.Millisecond {
		t.Errorf("a bucket of another clock refuses for %v, want 500ms", after)
	}
	if _, after := (bucket.Rate{}).Take(time.Time{}, now); after != 0 {
		t.Errorf("a bucket without room refuses for %v", after)
	}
}
