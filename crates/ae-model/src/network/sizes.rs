//! The sizes of a network.

/// The sizes that a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Inputs of the encoder.
    pub d_input: usize,
    /// Outputs of the decoder: fewer than `d_input` if the encoder also reads a mask, and any number for a target other
    /// than the input.
    pub d_output: usize,
    /// Units of the code.
    pub d_code: usize,
    /// Outputs of the encoder, from which the code is computed: as many as the code has units, or more
    /// ([`Code::reads`](crate::Code::reads)).
    pub reads: usize,
    /// Channels, height and width of the reconstructed images, if the rows are images. The channels of a mask follow
    /// those of the image.
    pub image: Option<[usize; 3]>,
}

impl Sizes {
    /// Rows of `d_input` features, and a code of `d_code` units.
    pub fn new(d_input: usize, d_code: usize) -> Self {
        Self { d_input, d_output: d_input, d_code, reads: d_code, image: None }
    }

    /// Sets the shape of images, `channels, height, width`.
    pub fn with_image(mut self, image: Option<[usize; 3]>) -> Self {
        self.image = image;
        self
    }

    /// Sets the number of encoder outputs from which the code is computed.
    pub fn with_reads(mut self, reads: usize) -> Self {
        self.reads = reads;
        self
    }

    /// Sets the number of outputs of the decoder, for a target other than the input.
    pub fn with_output(mut self, d_output: usize) -> Self {
        self.d_output = d_output;
        self
    }

    /// Sets that the encoder also reads a mask: it has twice as many inputs.
    pub fn with_mask(mut self) -> Self {
        self.d_input = 2 * self.d_output;
        self
    }
}

/// The size of a network, counted before it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Parameters of encoder and decoder together, including the running statistics of batch norms.
    pub parameters: usize,
    /// Values per example: inputs of the encoder, and outputs of each of its layers.
    pub encoder: Vec<usize>,
    /// Values per example: inputs of the decoder, and outputs of each of its layers.
    pub decoder: Vec<usize>,
}

/// The largest number of weights of a network: 8 GB, and four times that in training. A larger number is most likely a
/// typing error, and the system would kill the program.
pub const MAX_WEIGHTS: usize = 2_000_000_000;
