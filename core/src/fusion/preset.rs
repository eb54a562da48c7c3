//! Presets: several options under one name. What the request sets by itself stays.

use crate::types::{FusionMode, FusionOptions, Member, Preset};

/// How often `self` asks its member.
const SAMPLES: usize = 3;
/// What stragglers get under `fast`, milliseconds.
const SHORT_GRACE_MS: u64 = 250;

/// Sets what the preset of the options says and they leave open.
pub(super) fn apply(options: &mut FusionOptions, members: &mut Vec<Member>) {
    match options.preset.unwrap_or_default() {
        Preset::Balanced => {}
        Preset::Quality => {
            options.mode.get_or_insert(FusionMode::Merge);
            options.guard.get_or_insert(true);
        }
        Preset::Fast => {
            options.quorum.get_or_insert(members.len().min(2) as u32);
            options.grace_ms.get_or_insert(SHORT_GRACE_MS);
            options.guard.get_or_insert(false);
        }
        Preset::Cheap => {
            options.guard.get_or_insert(false);
            if members.len() > 2 && options.mode.is_none_or(|mode| mode == FusionMode::Cascade) {
                options.mode = Some(FusionMode::Cascade);
                // The best one is listed first, and decides last.
                let best = members.remove(0);
                members.drain(..members.len() - 2);
                members.push(best);
            }
        }
        Preset::Myself => {
            members.truncate(1);
            *members = members.iter().cycle().take(SAMPLES * members.len()).cloned().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(preset: Preset, given: FusionOptions) -> (FusionOptions, String) {
        let mut options = FusionOptions { preset: Some(preset), ..given };
        let mut members: Vec<Member> = ["a", "b", "c", "d"].map(Member::from).into();
        apply(&mut options, &mut members);
        (options, members.into_iter().map(|m| m.model).collect())
    }

    #[test]
    fn each_sets_what_it_says() {
        let none = FusionOptions::default;
        let (options, members) = applied(Preset::Balanced, none());
        assert_eq!((options, members.as_str()), (FusionOptions { preset: Some(Preset::Balanced), ..none() }, "abcd"));
        let (options, members) = applied(Preset::Quality, none());
        assert_eq!((options.mode, options.guard, members.as_str()), (Some(FusionMode::Merge), Some(true), "abcd"));
        let (options, members) = applied(Preset::Fast, none());
        assert_eq!(
            (options.mode, options.quorum, options.grace_ms, members.as_str()),
            (None, Some(2), Some(250), "abcd")
        );
        let (options, members) = applied(Preset::Cheap, none());
        assert_eq!((options.mode, members.as_str()), (Some(FusionMode::Cascade), "cda"));
        let (options, members) = applied(Preset::Myself, none());
        assert_eq!((options.mode, members.as_str()), (None, "aaa"));
    }

    #[test]
    fn what_is_given_stays() {
        let given = FusionOptions {
            mode: Some(FusionMode::Vote),
            quorum: Some(3),
            grace_ms: Some(9),
            guard: Some(true),
            ..Default::default()
        };
        for preset in [Preset::Quality, Preset::Fast, Preset::Cheap] {
            let (options, members) = applied(preset, given.clone());
            assert_eq!(options, FusionOptions { preset: Some(preset), ..given.clone() });
            assert_eq!(members, "abcd");
        }
    }
}
