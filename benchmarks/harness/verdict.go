package harness

import "fmt"

// Judge asserts of the stack named name what it promises, and returns and
// keeps in Violations what did not hold. The other stacks are reported, not
// judged. Violations is empty, not nil, when everything held.
//
// Of every fault: no GET failed, no effect was carried out twice, none that
// was acknowledged is missing, every POST that failed was answered "may have
// been carried out"; and the client did try the dead node, or all that would
// mean nothing.
//
// Of kill and refuse, besides: no more POSTs failed than were in flight on the
// instance at that moment, and retries of attempts that were not sent are
// among those that made it so. A stopped instance still takes connections, so
// every POST that was sent to it while it was stopped may end in doubt: there
// the bound is their number, and nothing can be "not sent".
func (r *Report) Judge(name string) []string {
	if r.Violations == nil {
		r.Violations = []string{}
	}
	for _, s := range r.Stacks {
		if s.Name == name {
			r.Violations = append(r.Violations, s.violations(r.Fault)...)
		}
	}
	return r.Violations
}

func (s *StackReport) violations(fault Fault) (list []string) {
	want := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, s.Name+": "+fmt.Sprintf(format, args...))
		}
	}
	gets := 0
	for _, r := range s.Routes {
		if r.Route == Get.String() {
			gets += r.Failed
		}
	}
	want(gets == 0, "%d GETs failed, want 0", gets)
	want(s.Duplicated == 0, "%d POSTs were carried out more than once, want 0", s.Duplicated)
	want(s.Lost == 0, "%d POSTs were acknowledged and not carried out, want 0", s.Lost)
	want(s.FailedPostsAmbiguous == s.FailedPosts, "%d of %d failed POSTs were not reported ambiguous, want 0",
		s.FailedPosts-s.FailedPostsAmbiguous, s.FailedPosts)
	want(s.AttemptsOnDeadNode > 0, "no attempt on the dead node, so that the run proves nothing, want more than 0")
	if fault == Stop {
		want(s.FailedPosts <= s.PendingPosts, "%d POSTs failed, want at most the %d that were on %s while it was stopped",
			s.FailedPosts, s.PendingPosts, s.Victim)
		return list
	}
	want(s.RetriedNotSent > 0, "no retry of an attempt that was not sent, so that the run proves nothing, want more than 0")
	want(s.FailedPosts <= s.InFlightPosts, "%d POSTs failed, want at most the %d that were in flight on %s at the fault",
		s.FailedPosts, s.InFlightPosts, s.Victim)
	return list
}
