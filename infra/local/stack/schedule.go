package stack

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"carrel/infra/local/template"
)

// startSchedules starts all schedules of the template. Each fires for the first time after one interval.
func (s *Stack) startSchedules() {
	for _, f := range s.template.Functions {
		for _, schedule := range f.Schedules {
			s.tasks.Go(func() { s.repeat(f, schedule) })
		}
	}
}

// repeat invokes the function at each interval until the stack ends. Like EventBridge it invokes asynchronously, so a
// slow function does not delay the schedule.
func (s *Stack) repeat(f template.Function, schedule template.Schedule) {
	every := time.Duration(float64(schedule.Every) * float64(s.config.Minute) / float64(time.Minute))
	ticker := time.NewTicker(max(every, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-s.ending.Done():
			return
		case now := <-ticker.C:
			event := []byte(schedule.Input)
			if len(event) == 0 {
				event = scheduledEvent(f, schedule, now)
			}
			if err := s.host.InvokeAsync(s.ending, f.Name, "", event); err != nil && s.ending.Err() == nil {
				s.notice("invoke %s for schedule %s: %v", f.LogicalID, schedule.LogicalID, err)
			}
		}
	}
}

// scheduledEvent returns the event that EventBridge sends to a scheduled function.
func scheduledEvent(f template.Function, schedule template.Schedule, now time.Time) []byte {
	event := struct {
		Version    string   `json:"version"`
		ID         string   `json:"id"`
		DetailType string   `json:"detail-type"`
		Source     string   `json:"source"`
		Account    string   `json:"account"`
		Time       string   `json:"time"`
		Region     string   `json:"region"`
		Resources  []string `json:"resources"`
		Detail     struct{} `json:"detail"`
	}{Version: "0", ID: uuid(), DetailType: "Scheduled Event", Source: "aws.events", Account: account,
		Time: now.UTC().Format(time.RFC3339), Region: region,
		Resources: []string{fmt.Sprintf("arn:aws:events:%s:%s:rule/%s%s", region, account, f.Name, schedule.LogicalID)}}
	text, _ := json.Marshal(event) // cannot fail: all fields are strings
	return text
}

// uuid returns a random UUID (version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
