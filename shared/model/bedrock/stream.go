package bedrock

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"carrel/shared/engine"
	"carrel/shared/model/internal/answer"
	"carrel/shared/model/internal/calls"
	"carrel/shared/model/internal/conv"
)

// stream reads the stream of one answer.
type stream struct {
	a      *answer.Answer
	stop   engine.StopReason
	blocks map[int32]*block // the open ones, by index
}

// block is an open block. Many models do not send its start.
type block struct {
	call     bool
	text     strings.Builder // of reasoning
	signed   string
	redacted []byte
}

func (s *stream) block(index *int32) *block {
	b := s.blocks[aws.ToInt32(index)]
	if b == nil {
		b = &block{}
		s.blocks[aws.ToInt32(index)] = b
	}
	return b
}

func (s *stream) event(e types.ConverseStreamOutput) error {
	switch e := e.(type) {
	case *types.ConverseStreamOutputMemberContentBlockStart:
		if use, ok := e.Value.Start.(*types.ContentBlockStartMemberToolUse); ok {
			s.block(e.Value.ContentBlockIndex).call = true
			i := int(aws.ToInt32(e.Value.ContentBlockIndex))
			return s.a.StartCall(calls.Piece{Index: &i, ID: aws.ToString(use.Value.ToolUseId),
				Name: aws.ToString(use.Value.Name)}, nil)
		}
	case *types.ConverseStreamOutputMemberContentBlockDelta:
		return s.delta(e.Value)
	case *types.ConverseStreamOutputMemberContentBlockStop:
		return s.close(e.Value.ContentBlockIndex)
	case *types.ConverseStreamOutputMemberMessageStop:
		s.stop = stopReason(e.Value.StopReason)
	case *types.ConverseStreamOutputMemberMetadata:
		if u := e.Value.Usage; u != nil {
			s.a.Usage.CachedInputTokens = int(aws.ToInt32(u.CacheReadInputTokens))
			s.a.Usage.CacheWriteInputTokens = int(aws.ToInt32(u.CacheWriteInputTokens))
			s.a.Usage.InputTokens = int(aws.ToInt32(u.InputTokens)) + s.a.Usage.CachedInputTokens +
				s.a.Usage.CacheWriteInputTokens
			s.a.Usage.OutputTokens = int(aws.ToInt32(u.OutputTokens))
		}
	}
	return s.a.Life()
}

func (s *stream) delta(e types.ContentBlockDeltaEvent) error {
	switch d := e.Delta.(type) {
	case *types.ContentBlockDeltaMemberText:
		return s.a.Text(d.Value)
	case *types.ContentBlockDeltaMemberToolUse:
		i := int(aws.ToInt32(e.ContentBlockIndex))
		return s.a.Call(calls.Piece{Index: &i, Args: aws.ToString(d.Value.Input)})
	case *types.ContentBlockDeltaMemberReasoningContent:
		b := s.block(e.ContentBlockIndex)
		switch r := d.Value.(type) {
		case *types.ReasoningContentBlockDeltaMemberText:
			b.text.WriteString(r.Value)
			return s.a.Reasoning(r.Value)
		case *types.ReasoningContentBlockDeltaMemberSignature:
			b.signed += r.Value
		case *types.ReasoningContentBlockDeltaMemberRedactedContent:
			b.redacted = append(b.redacted, r.Value...)
		}
	}
	return s.a.Life()
}

// close ends a block. Reasoning is kept if the model has signed it.
func (s *stream) close(index *int32) error {
	b := s.block(index)
	delete(s.blocks, aws.ToInt32(index))
	switch {
	case b.call:
		return s.a.EndCall(int(aws.ToInt32(index)))
	case len(b.redacted) > 0:
		s.a.Notes.Keep(conv.Object(kept{Redacted: b.redacted}))
	case b.signed != "":
		s.a.Notes.Keep(conv.Object(kept{Text: b.text.String(), Signature: b.signed}))
	}
	return s.a.Life()
}

func stopReason(reason types.StopReason) engine.StopReason {
	switch reason {
	case types.StopReasonEndTurn:
		return engine.StopEnd
	case types.StopReasonToolUse:
		return engine.StopTools
	case types.StopReasonMaxTokens:
		return engine.StopMaxTokens
	case types.StopReasonStopSequence:
		return engine.StopSequence
	case types.StopReasonGuardrailIntervened, types.StopReasonContentFiltered:
		return engine.StopFiltered
	case types.StopReasonMalformedModelOutput, types.StopReasonMalformedToolUse:
		return engine.StopMalformed
	case types.StopReasonModelContextWindowExceeded:
		return engine.StopContext
	}
	return engine.StopReason(reason)
}
