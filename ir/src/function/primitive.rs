//! The list of primitive functions: each once, with its ONNX operator.

/// Declares the primitives: documentation, variant, text name, ONNX operator, operands, `;` attributes under their ONNX
/// names, value.
macro_rules! primitives {
    ($($(#[$doc:meta])* $variant:ident $name:literal $onnx:literal ($($x:ident),+ $(; $($attribute:ident),+)?) => $value:expr,)*) => {
        /// A function with an ONNX operator of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Primitive {
            $($(#[$doc])* $variant,)*
        }

        impl Primitive {
            /// All primitives.
            pub const ALL: &[Primitive] = &[$(Primitive::$variant),*];

            /// Name in the text form.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Primitive::$variant => $name,)* }
            }

            /// The ONNX operator.
            #[must_use]
            pub const fn onnx(self) -> &'static str {
                match self { $(Primitive::$variant => $onnx,)* }
            }

            /// Number of operands, attributes not counted.
            #[must_use]
            pub const fn operands(self) -> usize {
                match self { $(Primitive::$variant => [$(stringify!($x)),+].len(),)* }
            }

            /// Attributes of the ONNX operator; they stand behind the operands.
            #[must_use]
            pub const fn attributes(self) -> &'static [&'static str] {
                match self { $(Primitive::$variant => &[$($(stringify!($attribute)),+)?],)* }
            }

            /// The value for operands and attributes in order. Not a number where it is not defined, or if their
            /// number is wrong.
            #[must_use]
            pub fn evaluate(self, operands: &[f64]) -> f64 {
                match (self, operands) {
                    $((Primitive::$variant, &[$($x),+ $(, $($attribute),+)?]) => $value,)*
                    _ => f64::NAN,
                }
            }
        }
    };
}

primitives! {
    /// Magnitude.
    Abs "abs" "Abs" (x) => x.abs(),
    /// Inverse cosine.
    Acos "acos" "Acos" (x) => libm::acos(x),
    /// Inverse hyperbolic cosine.
    Acosh "acosh" "Acosh" (x) => libm::acosh(x),
    /// Sum.
    Add "add" "Add" (a, b) => a + b,
    /// Inverse sine.
    Asin "asin" "Asin" (x) => libm::asin(x),
    /// Inverse hyperbolic sine.
    Asinh "asinh" "Asinh" (x) => libm::asinh(x),
    /// Inverse tangent.
    Atan "atan" "Atan" (x) => libm::atan(x),
    /// Inverse hyperbolic tangent.
    Atanh "atanh" "Atanh" (x) => libm::atanh(x),
    /// Smallest integer not below `x`.
    Ceil "ceil" "Ceil" (x) => x.ceil(),
    /// Cosine.
    Cos "cos" "Cos" (x) => libm::cos(x),
    /// Hyperbolic cosine.
    Cosh "cosh" "Cosh" (x) => libm::cosh(x),
    /// Quotient.
    Div "div" "Div" (a, b) => a / b,
    /// `x` where positive, else `alpha * (e^x - 1)`.
    Elu "elu" "Elu" (x; alpha) => if x < 0.0 { alpha * libm::expm1(x) } else { x },
    /// Error function of the normal distribution.
    Erf "erf" "Erf" (x) => libm::erf(x),
    /// `e^x`.
    Exp "exp" "Exp" (x) => libm::exp(x),
    /// Largest integer not above `x`.
    Floor "floor" "Floor" (x) => x.floor(),
    /// `x * max(0, min(1, x / 6 + 1/2))`.
    HardSwish "hard_swish" "HardSwish" (x) => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
    /// `x` where positive, else `alpha * x`.
    LeakyRelu "leaky_relu" "LeakyRelu" (x; alpha) => if x < 0.0 { alpha * x } else { x },
    /// Natural logarithm.
    Log "log" "Log" (x) => libm::log(x),
    /// The larger one.
    Max "max" "Max" (a, b) => a.max(b),
    /// The smaller one.
    Min "min" "Min" (a, b) => a.min(b),
    /// Product.
    Mul "mul" "Mul" (a, b) => a * b,
    /// `a` to the power of `b`.
    Pow "pow" "Pow" (a, b) => libm::pow(a, b),
    /// `1 / x`.
    Reciprocal "reciprocal" "Reciprocal" (x) => 1.0 / x,
    /// Nearest integer, ties to even.
    Round "round" "Round" (x) => x.round_ties_even(),
    /// `1 / (1 + e^-x)`.
    Sigmoid "sigmoid" "Sigmoid" (x) => 1.0 / (1.0 + libm::exp(-x)),
    /// -1, 0 or 1.
    Sign "sign" "Sign" (x) => if x == 0.0 { 0.0 } else { x.signum() },
    /// Sine.
    Sin "sin" "Sin" (x) => libm::sin(x),
    /// Hyperbolic sine.
    Sinh "sinh" "Sinh" (x) => libm::sinh(x),
    /// `ln(1 + e^x)`, in a form that does not overflow.
    Softplus "softplus" "Softplus" (x) => x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
    /// `x / (1 + |x|)`.
    Softsign "softsign" "Softsign" (x) => x / (1.0 + x.abs()),
    /// Square root.
    Sqrt "sqrt" "Sqrt" (x) => x.sqrt(),
    /// Difference.
    Sub "sub" "Sub" (a, b) => a - b,
    /// Tangent.
    Tan "tan" "Tan" (x) => libm::tan(x),
    /// Hyperbolic tangent.
    Tanh "tanh" "Tanh" (x) => libm::tanh(x),
}

impl Primitive {
    /// The primitive of that text name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Primitive> {
        Primitive::ALL.iter().copied().find(|primitive| primitive.name() == name)
    }

    /// The primitive with that ONNX operator.
    #[must_use]
    pub fn from_onnx(op: &str) -> Option<Primitive> {
        Primitive::ALL.iter().copied().find(|primitive| primitive.onnx() == op)
    }
}
