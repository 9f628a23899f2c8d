package drivertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"grapevine/drivers"
)

// Run runs the whole suite, one case after the other, on the harness's one
// hypervisor.
func Run(t *testing.T, h Harness) {
	t.Helper()
	run(t, h, cases())
}

// RunThese runs the cases of these names, for a hypervisor that Run is run on
// already, and that is set up in another way.
func RunThese(t *testing.T, h Harness, names ...string) {
	t.Helper()
	var chosen []testCase
	for _, c := range cases() {
		if slices.Contains(names, c.name) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) != len(names) {
		t.Fatalf("of %d cases there are only %d", len(names), len(chosen))
	}
	run(t, h, chosen)
}

func run(t *testing.T, h Harness, chosen []testCase) {
	t.Helper()
	features := featuresOf(t, h)
	for _, c := range chosen {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != "" && !slices.Contains(features, c.needs) {
				t.Skipf("the driver does not declare the feature %s", c.needs)
			}
			c.run(newKit(t, h))
		})
	}
	t.Log(FeatureTable(features))
}

// testCase is one rule that every driver keeps.
type testCase struct {
	name  string
	needs drivers.Feature // empty: every driver is held to it
	run   func(k *kit)
}

func cases() []testCase {
	return []testCase{
		{name: "DescribeIsCompleteAndStable", run: describeIsStable},
		{name: "DeclaredFeaturesAreThere", run: declaredFeaturesAreThere},
		{name: "SurveyAgreesWithTheDescription", run: surveyAgrees},
		{name: "ListIsCompleteAndOrdered", run: listIsComplete},
		{name: "UnknownMachineIsNotFound", run: unknownIsNotFound},
		{name: "BuiltMachineHasTheSizeAskedFor", run: builtHasItsSize},
		{name: "BuildTwiceMakesOneMachine", run: buildIsIdempotent},
		{name: "BuildAtOnceMakesOneMachine", run: buildAtOnce},
		{name: "FailedBuildLeavesNothing", run: failedBuildLeavesNothing},
		{name: "CancelledBuildLeavesOneOrNothing", run: cancelledBuild},
		{name: "DeleteRemovesMachineAndDisks", run: deleteRemovesAll},
		{name: "StartStopRebootAreSeen", run: startStopReboot},
		{name: "StopLetsTheGuestItsGraceAndNoMore", run: stopWithGrace},
		{name: "PauseAndResume", needs: drivers.FeaturePause, run: pauseResume},
		{name: "ForeignMachinesRefuseWrites", run: foreignRefuses},
		{name: "AdoptKeepsPowerAndOutlivesTheDriver", run: adoptKeepsPower},
		{name: "DisownedMachineGoesOnAsForeign", run: disownedGoesOn},
		{name: "DisownedMachineKeepsWhatItIsBuiltOn", run: disownedKeepsItsImage},
		{name: "MarkRoundTripsOddWords", run: markRoundTrips},
		{name: "EqualNamesAreTwoMachines", run: equalNames},
		{name: "EventFollowsEachChange", run: eventFollows},
		{name: "LostEventIsRepairedByList", run: lostEventRepaired},
		{name: "CancelledCallsReturnPromptly", run: cancelReturns},
		{name: "CutIsUnavailableAndHeals", run: cutHeals},
		{name: "OpenedWhileCutHeals", run: openedWhileCut},
		{name: "ImagesAreKept", run: imagesAreKept},
		{name: "BadImageLeavesNothing", run: badImageLeavesNothing},
		{name: "ImagesAreReadBack", needs: drivers.FeatureImageSource, run: imagesAreReadBack},
		{name: "ReadingWhatIsNotThereIsNotFound", needs: drivers.FeatureImageSource, run: readMissingImage},
		{name: "ConsoleLogShowsTheGuest", needs: drivers.FeatureConsoleLog, run: consoleLog},
		{name: "ConsoleLogIsFollowedUntilTheMachineIsGone", needs: drivers.FeatureConsoleLog, run: consoleLogIsFollowed},
		{name: "ConsoleEchoesWhatIsTyped", needs: drivers.FeatureConsole, run: consoleEchoes},
		{name: "ConsoleNeedsARunningManagedMachine", needs: drivers.FeatureConsole, run: consoleNeedsAMachine},
		{name: "SecondConsoleIsRefusedOrTakesOver", needs: drivers.FeatureConsole, run: consoleHasOneHolder},
		{name: "ConsoleEndsWithTheMachine", needs: drivers.FeatureConsole, run: consoleEnds},
		{name: "ConsoleLogStaysBoundedAndIsFollowed", needs: drivers.FeatureConsole, run: logStaysBounded},
		{name: "VNCSpeaksRFB", needs: drivers.FeatureVNC, run: vncSpeaksRFB},
		{name: "SnapshotBringsTheMachineBack", needs: drivers.FeatureSnapshot, run: snapshotBringsBack},
		{name: "SnapshotOfARunningMachineRunsAgain", needs: drivers.FeatureSnapshot, run: snapshotWithMemory},
		{name: "SnapshotIsTakenAndDeletedOnce", needs: drivers.FeatureSnapshot, run: snapshotOnce},
		{name: "SnapshotsLieUponEachOther", needs: drivers.FeatureSnapshot, run: snapshotTree},
		{name: "RevertLeavesTheMarkThatIsAskedFor", needs: drivers.FeatureSnapshot, run: revertKeepsMark},
		{name: "SnapshotsOfForeignMachinesAreOnlyRead", needs: drivers.FeatureSnapshot, run: foreignSnapshots},
		{name: "DeleteRemovesSnapshots", needs: drivers.FeatureSnapshot, run: deleteRemovesSnapshots},
		{name: "ResizeChangesSizeAndMark", needs: drivers.FeatureResize, run: resizeChangesSize},
		{name: "ResizeRefusesWhatItCannotDo", needs: drivers.FeatureResize, run: resizeRefusals},
		{name: "RunningMachineGrows", needs: drivers.FeatureResizeLive, run: growsWhileItRuns},
		{name: "RunningMachineGivesNothingBack", needs: drivers.FeatureResizeLive, run: runningGivesNothingBack},
		{name: "RebuildMakesTheFirstDiskAnew", needs: drivers.FeatureRebuild, run: rebuildMakesAnew},
		{name: "RebuildKeepsWhatCloudInitWasTold", needs: drivers.FeatureRebuild, run: rebuildKeepsTheGuest},
		{name: "RebuildIsDoneOnce", needs: drivers.FeatureRebuild, run: rebuildIsDoneOnce},
		{name: "CancelledRebuildLeavesAWholeMachine", needs: drivers.FeatureRebuild, run: cancelledRebuild},
		{name: "RebuildRefusesWhatItCannotDo", needs: drivers.FeatureRebuild, run: rebuildRefusals},
		{name: "RebuildWithoutRoomLeavesTheOldDisk", needs: drivers.FeatureRebuild, run: rebuildWithoutRoom},
		{name: "DeleteRemovesARebuiltMachine", needs: drivers.FeatureRebuild, run: deleteRemovesRebuilt},
		{name: "RescueEndsAsItBegan", needs: drivers.FeatureRescue, run: rescueAndBack},
		{name: "RescueByACDEndsAsItBegan", needs: drivers.FeatureBootISO, run: rescueByACD},
		{name: "RescueRefusesWhatItCannotDo", needs: drivers.FeatureRescue, run: rescueRefusals},
		{name: "DeleteRemovesARescuedMachine", needs: drivers.FeatureRescue, run: deleteRemovesRescued},
		{name: "BuiltMachineHasItsDevices", needs: drivers.FeatureDevices, run: builtHasItsDevices},
		{name: "MissingNetworkIsRefused", needs: drivers.FeatureDevices, run: missingNetworkIsRefused},
		{name: "DiskIsAttachedAndDetachedOnce", needs: drivers.FeatureDevices, run: diskComesAndGoes},
		{name: "FirstDiskStays", needs: drivers.FeatureDevices, run: firstDiskStays},
		{name: "DiskGrowsAndNeverShrinks", needs: drivers.FeatureDevices, run: diskGrows},
		{name: "CardIsAttachedAndDetachedOnce", needs: drivers.FeatureDevices, run: cardComesAndGoes},
		{name: "CDIsAttachedAndDetachedOnce", needs: drivers.FeatureBootISO, run: isoComesAndGoes},
		{name: "RunningMachineTakesDevices", needs: drivers.FeatureDevices, run: runningTakesDevices},
		{name: "DeleteRemovesFurtherDisks", needs: drivers.FeatureDevices, run: deleteRemovesFurtherDisks},
		{name: "DevicesOfForeignMachinesAreOnlyRead", needs: drivers.FeatureDevices, run: foreignDevices},
		{name: "ResizeKeepsFurtherDisks", needs: drivers.FeatureDevices, run: resizeKeepsFurtherDisks},
		{name: "MachineIsInstalledFromACD", needs: drivers.FeatureBootISO, run: isoBoots},
		{name: "MachineHasUEFIFirmware", needs: drivers.FeatureUEFI, run: uefiBuilds},
		{name: "UEFIMachineHasSnapshotsOrSaysSo", needs: drivers.FeatureUEFI, run: uefiSnapshot},
		{name: "CardKeepsItsVLAN", needs: drivers.FeatureVLAN, run: vlanIsKept},
		{name: "CloudInitFindsWhatWasAskedFor", needs: drivers.FeatureCloudInit, run: cloudInitFindsIt},
		{name: "CloudInitIsGivenNetworkAndHostname", needs: drivers.FeatureCloudInit, run: guestIsAskedItsOwnWay},
		{name: "DeleteAtOnceLeavesNothing", run: deleteAtOnce},
		{name: "StartAndStopAtOnceAreNoErrors", run: startAndStopAtOnce},
		{name: "ImportAtOnceStoresOneImage", run: importAtOnce},
		{name: "EachWatchIsTold", run: twoWatches},
		{name: "MachineIsSeenWithItsMarkFromTheFirst", run: marksAreThereFromTheFirst},
		{name: "ListIsSteadyWhileOthersComeAndGo", run: listIsSteady},
		{name: "CloseEndsCallsUnderWay", run: closeEndsCalls},
		{name: "CancelledDeleteIsDoneAgain", run: cancelledDelete},
		{name: "MaintenanceTakesNothingNew", run: maintenance},
		{name: "FullStorageLeavesNothing", run: fullStorage},
		{name: "CancelledImportLeavesNothing", run: cancelledImport},
		{name: "RebootNeedsARunningMachine", run: rebootNeedsARunningMachine},
		{name: "AdoptNeedsTheMachinesOwnMark", run: adoptNeedsTheMachinesOwnMark},
		{name: "PausedMachineIsDeleted", needs: drivers.FeaturePause, run: pausedMachine},
		{name: "InspectAgreesWithListInEachPower", run: inspectAgreesWithList},
		{name: "AdoptAgainChangesTheMark", run: adoptAgain},
		{name: "AdoptedMachineLivesLikeABuiltOne", run: adoptedLives},
		{name: "MachineRemovedByHandIsBuiltAnew", run: removedBehind},
		{name: "MachineIsBuiltInOddSizes", run: oddSizes},
		{name: "NothingIsForgottenOverACut", run: nothingIsForgottenOverACut},
		{name: "SnapshotNamesRoundTripOddWords", needs: drivers.FeatureSnapshot, run: snapshotNamesAreOdd},
		{name: "RevertBringsTheSizeBack", needs: drivers.FeatureSnapshot, run: revertBringsTheSizeBack},
		{name: "DiskIsReadAsItIsNow", needs: drivers.FeatureReadDisks, run: diskIsRead},
		{name: "FurtherDiskIsRead", needs: drivers.FeatureDevices, run: furtherDiskIsRead},
		{name: "DisksThatCannotBeReadAreRefused", needs: drivers.FeatureReadDisks, run: unreadableDisks},
		{name: "WhatCloudInitFindsIsTold", needs: drivers.FeatureMigrate, run: guestIsTold},
		{name: "FirmwareIsKnown", needs: drivers.FeatureReadDisks, run: firmwareIsKnown},
		{name: "CopyHoldsWhatItsSourceHeld", needs: drivers.FeatureCopyDisks, run: copyHoldsTheSame},
		{name: "CopyOfNothingLeavesNothing", needs: drivers.FeatureCopyDisks, run: copyOfNothingLeavesNothing},
		{name: "CopyHasFurtherDisks", needs: drivers.FeatureDevices, run: copyHasFurtherDisks},
		{name: "FurtherDiskBeginsAsAnImage", needs: drivers.FeatureDevices, run: diskOfAnImage},
		{name: "UsageRisesWhileAMachineRuns", needs: drivers.FeatureUsage, run: usageRises},
		{name: "VolumesAreToldWithTheirMachines", run: volumesAreTold},
		{name: "ManyMachinesAreListed", run: manyMachines},
		{name: "ConcurrentUse", run: concurrentUse},
		{name: "CloseLeavesNoGoroutine", run: closeLeavesNothing},
	}
}

func featuresOf(t *testing.T, h Harness) []drivers.Feature {
	t.Helper()
	d := h.Open(t)
	defer d.Close()
	desc, err := d.Describe(t.Context())
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	return desc.Features
}

// FeatureTable shows in Markdown which features are declared.
func FeatureTable(features []drivers.Feature) string {
	var b strings.Builder
	b.WriteString("\n| feature | supported |\n| --- | --- |\n")
	for _, f := range []drivers.Feature{
		drivers.FeatureBootDisk, drivers.FeatureBootISO, drivers.FeatureBootKernel, drivers.FeatureCloudInit, drivers.FeatureConsole,
		drivers.FeatureConsoleLog, drivers.FeatureCopyDisks, drivers.FeatureDevices, drivers.FeatureGrowRunning, drivers.FeatureImageSource, drivers.FeatureMigrate,
		drivers.FeaturePause, drivers.FeatureReadDisks, drivers.FeatureRebuild, drivers.FeatureRescue, drivers.FeatureResize, drivers.FeatureResizeLive,
		drivers.FeatureSnapshot, drivers.FeatureUEFI, drivers.FeatureUsage, drivers.FeatureVLAN, drivers.FeatureVNC,
	} {
		word := "no"
		if slices.Contains(features, f) {
			word = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", f, word)
	}
	return b.String()
}
