//! The macro behind the parameter list.

/// Expands the list of [`params`](super::params) into `Hardware`, its table of contents and its access by name.
///
/// One entry: doc comment, `name = default, min..=max flags, "unit";` with flags `pow2` and `timing_only`.
macro_rules! hw_params {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident = $default:literal, $min:literal..=$max:literal $($flag:ident)*, $unit:literal;
    )+) => {
        /// One machine. [`validate`](Hardware::validate) tells whether it can be built; the fields are plain numbers.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "Unchecked")]
        pub struct Hardware {
            $( $(#[doc = $doc])+ pub $name: u32, )+
            /// Rounding mode of every requantization.
            pub rounding: Rounding,
        }

        /// The fields of [`Hardware`] as they arrive from outside.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Unchecked {
            $( $name: u32, )+
            rounding: Rounding,
        }

        impl TryFrom<Unchecked> for Hardware {
            type Error = HardwareError;

            fn try_from(raw: Unchecked) -> Result<Self, HardwareError> {
                let hardware = Hardware { $( $name: raw.$name, )+ rounding: raw.rounding };
                hardware.validate()?;
                Ok(hardware)
            }
        }

        impl Default for Hardware {
            /// The preset `edge16`.
            fn default() -> Self {
                Hardware { $( $name: $default, )+ rounding: Rounding::HalfEven }
            }
        }

        impl Hardware {
            /// The integer parameters, in declaration order.
            pub const PARAMS: &'static [ParamInfo] = &[$(
                ParamInfo {
                    $( $flag: true, )*
                    ..ParamInfo::plain(
                        stringify!($name), $unit, concat!($($doc, "\n"),+), $min, $max, $default,
                    )
                },
            )+];

            /// Value of an integer parameter; `None` for an unknown name and for `rounding`.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u64> {
                $( if name == stringify!($name) { return Some(u64::from(self.$name)); } )+
                None
            }

            /// Where the named integer parameter is kept.
            pub(super) fn slot(&mut self, name: &str) -> Option<&mut u32> {
                $( if name == stringify!($name) { return Some(&mut self.$name); } )+
                None
            }
        }
    };
}
